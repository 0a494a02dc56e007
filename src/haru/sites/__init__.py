"""Sites, their tokens and their people."""
