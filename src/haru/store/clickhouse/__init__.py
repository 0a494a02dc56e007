"""The store in ClickHouse: a server, a cluster, or chDB in the process."""
