"""`make bench`: every benchmark in turn, each a table."""

from __future__ import annotations

from bench import collect, log, query

for benchmark in (collect, log, query):
    benchmark.main()
