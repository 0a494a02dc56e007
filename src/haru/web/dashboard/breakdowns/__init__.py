"""What numbers are broken down by on a dashboard: the tabs, the panels that hold them, and their details."""
