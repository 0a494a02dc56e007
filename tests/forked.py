"""What a forked process of Haru has imported (tests/forking.py): all that most commands and the server need and that
asks for no settings.
"""
# ruff: noqa: F401

import atexit
import gc
import os

import allauth
import django.contrib.auth.hashers
import django.core.asgi
import django.core.management.commands.migrate
import django.db.backends.sqlite3.base
from django.conf import settings

import haru.cli
import haru.collect.collector
import haru.server.metrics
import haru.server.serving
import haru.server.workers
import haru.stats.answers
import haru.store.duckdb.store
import haru.store.loader
import haru.transfer.export
import haru.transfer.import_log
from haru.collect import referrer, useragent

useragent.warm()
referrer.warm()
# A hash of a password names its rounds, so those that true processes made are tried with all of theirs.
django.contrib.auth.hashers.PBKDF2PasswordHasher.iterations = 10_000
assert not settings.configured, "the settings of this process would be those of all"
gc.freeze()  # else each fork looks through all of it, and ends up with a copy
atexit.register(os._exit, 0)  # the process that forks is not taken down; a fork takes this back
