"""One HTTP request becomes one Event on disk, or a named refusal."""
