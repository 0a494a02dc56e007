"""Questions and answers: the vocabulary, its statements, and their cache."""
