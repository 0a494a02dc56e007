"""The older reads, as in Plausible's Stats API v1."""
