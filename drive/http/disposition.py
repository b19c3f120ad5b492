"""Say under which name a file is saved: RFC 6266 and 8187."""

import re
import unicodedata
from typing import Literal
from urllib.parse import quote

# Marks that reorder what is read: "photo\u202egpj.exe" is shown as "photoexe.jpg".
_BIDI_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Path separators, and what breaks a line: categories Cc, Zl and Zp. A lone surrogate has no UTF-8 and becomes _ too.
_BREAKING = re.compile("[/\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Some clients decode %41 within the quotes, so that a percent sign would smuggle in what is refused above.
_UNQUOTABLE = re.compile(r'[^\x20-\x7e]|["%/\\]')
_ATTR_CHARS = "!#$&+-.^_`|~"
_MOST_BYTES = 255  # what file systems take; a header of more than 4 KiB would be refused by proxies
_MOST_EXTENSION_BYTES = 32


def content_disposition(kind: Literal["inline", "attachment"], file_name: str) -> str:
    """Return the header's value for a file name as it is stored, which may be any text.

    Marks that reverse the reading direction are left out, slashes and control characters become `_`, and a name of
    more than 255 bytes is cut before its extension. Clients that cannot read `filename*` are given the same in ASCII.
    """
    name = _savable(file_name)
    plain = _in_ascii(name)
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _savable(file_name: str) -> str:
    name = _BREAKING.sub("_", _BIDI_MARKS.sub("", file_name)).strip()
    return _cut(name) if name.strip(". ") else "file"


def _cut(name: str) -> str:
    """Shorten a name to what a file system takes, keeping its extension."""
    if len(name.encode()) <= _MOST_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    end = f"{dot}{extension}".encode() if stem else b""
    end = end if len(end) <= _MOST_EXTENSION_BYTES else b""
    return (name.encode()[: _MOST_BYTES - len(end)] + end).decode(errors="ignore")


def _in_ascii(name: str) -> str:
    letters = (char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return _UNQUOTABLE.sub("_", "".join(letters)) or "file"
