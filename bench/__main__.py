"""`make bench`: every benchmark in turn, each a table."""

from __future__ import annotations

from bench import collect, live, loading, log, memory, query

for benchmark in (collect, loading, live, log, query, memory):
    benchmark.main()
