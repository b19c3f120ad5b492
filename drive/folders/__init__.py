"""Folders: the paths under which an account finds its files."""
