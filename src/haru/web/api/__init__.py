"""The API that programs use: numbers, sites, goals, shared links. `endpoint` first: every request goes through it."""
