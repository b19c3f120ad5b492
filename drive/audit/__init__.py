"""Reads logs, and tells of every process which gRPC channels it opened, when and for whom."""
