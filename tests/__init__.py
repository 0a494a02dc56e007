"""Real engines, real servers, real browsers; what no test needs to pay for is turned off here, for each process of a run."""

from __future__ import annotations

import os
import sys

# Of hundreds of processes each would compile the same source again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# No test speaks TLS, and each call of `httpx.get` and its like reads the certificates of the world: that takes 55 ms of
# processor time, and the request 3.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull
