"""Every operation of the API that a key opens."""

from __future__ import annotations

from collections.abc import Sequence

from haru.web.api.reference import management, statistics
from haru.web.api.reference.operation import Operation

OPERATIONS: Sequence[Operation] = (*statistics.OPERATIONS, *management.OPERATIONS)
