"""Real engines, real servers, real browsers; what no test needs to pay for is turned off here, for each process of a run."""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache

# Of hundreds of processes each would compile the same source again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Each call of `httpx.get` and its like reads the certificates of the world, which takes 55 ms of processor time; the request
# takes 3, and none speaks TLS.
ssl.create_default_context = cache(ssl.create_default_context)
