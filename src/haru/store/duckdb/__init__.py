"""The store in one file: DuckDB, in the process."""
