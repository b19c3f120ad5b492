"""Bundles: files that are shared under one link, with a passcode where their owner wants one."""
