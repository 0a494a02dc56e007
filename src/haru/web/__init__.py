"""The Django project: pages, API, templates, static files."""
