"""Measurements. `scripts/bench` runs them; docs/bench.md says what each row means."""
