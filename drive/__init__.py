"""A file service whose dependencies cost nothing until they are used."""
