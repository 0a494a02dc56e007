"""Accepted events on disk, until a store has them."""
