"""The pages of a site's numbers."""
