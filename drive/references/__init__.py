"""References: which resource uses which file, for what, and until when."""
