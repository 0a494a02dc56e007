"""The image and the compose files, built and run for real: `make test-containers`, as root."""
