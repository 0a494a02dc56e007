"""A demo site and its traffic, and the account of a development server."""
