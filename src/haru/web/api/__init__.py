"""The API that programs use: numbers, sites, goals, shared links. `door` first: every request goes through it."""

from haru.web.api.endpoint import NO_ACCESS
from haru.web.api.query import written

__all__ = ["NO_ACCESS", "written"]
