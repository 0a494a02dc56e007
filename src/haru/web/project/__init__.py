"""Django's plumbing: settings, middleware, forms, errors, mail, and what the pages have from the running server."""
