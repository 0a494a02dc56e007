"""Events on their way in and out: files, access logs, and from one store to another."""
