"""Commands that bring events in, take them out, and move them."""
