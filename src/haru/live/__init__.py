"""What a live page shows, all in memory: the current visitors of sites, and a bus for their news."""

from dataclasses import dataclass, field

from haru.live.bus import Bus, Subscription
from haru.live.visitors import CURRENT_MS, CurrentVisitors

__all__ = ["CURRENT_MS", "Bus", "CurrentVisitors", "Live", "Subscription"]


@dataclass(frozen=True, slots=True)
class Live:
    """Both, of one process."""

    visitors: CurrentVisitors = field(default_factory=CurrentVisitors)
    bus: Bus = field(default_factory=Bus)
