"""Where accepted events rest: the spool, the visit window, the loader and the event store."""
