"""The pages of what was not counted, and why."""
