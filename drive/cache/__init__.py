"""Redis, which makes requests faster and never makes them fail."""
