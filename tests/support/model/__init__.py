"""A model of the HTTP API: what it should say, from a few lists in memory, and a machine that asks both."""
