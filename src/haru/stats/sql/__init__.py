"""Questions in SQL: what each engine says, what is counted of a visit, and the statements."""
