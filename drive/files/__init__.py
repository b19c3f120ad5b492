"""Files: their details, their bytes, their end."""
