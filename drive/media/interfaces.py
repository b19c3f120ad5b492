"""What is made of an object."""

VARIANTS = ("webp", "compressed", "thumbnail")
"""All that there can be of an object, each stored as `<object id>.<variant>`. `webp`: an image in full size, upright
and without metadata. `compressed`: at most 1024 pixels a side. `thumbnail`: a frame of a video, or a song's cover."""
