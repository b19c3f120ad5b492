"""Pools: where files are stored, and under which rules."""
