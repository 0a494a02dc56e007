"""Publish and subscribe by site, and the current visitors, all in memory."""

from haru.live.live import CURRENT_MS, Live, Subscription

__all__ = ["CURRENT_MS", "Live", "Subscription"]
