"""MIME types: what is one, and which of them a browser may show."""

import re

_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_MIME_TYPE = re.compile(rf'({_WORD}/{_WORD})(?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|"[^"\\\x00-\x1f\x7f]*"))*')
_INLINE_TYPES = frozenset(
    {f"image/{kind}" for kind in ("apng", "avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "webp")} | {"text/plain"}
)

_STORABLE_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+([ \t]*;[\x20-\x7e]*)?", re.ASCII)


def is_mime_type(text: str) -> bool:
    """Tell whether a text is a MIME type, parameters included."""
    return _STORABLE_TYPE.fullmatch(text) is not None


def is_inline_safe(mime_type: str) -> bool:
    """Tell whether a browser may show such a file from this origin: only what can never run a script there."""
    found = _MIME_TYPE.fullmatch(mime_type.strip(" \t"))
    kind = found[1].lower() if found else ""
    # Browsers take any type that ends in +xml for a document, which may hold scripts: video/x+xml too.
    return kind in _INLINE_TYPES or (kind.startswith(("audio/", "video/")) and "+" not in kind)
