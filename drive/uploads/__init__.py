"""Uploads: reserved, received in chunks, completed once."""
