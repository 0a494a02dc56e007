"""Publish and subscribe by site, and the current visitors."""
