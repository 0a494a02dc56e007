"""What the API says of itself: its operations and their shapes as tables, an OpenAPI document, and a page of it."""
