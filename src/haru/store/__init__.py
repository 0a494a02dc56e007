"""Where events rest, and how they get there from the spools: one protocol, an engine in each room."""
