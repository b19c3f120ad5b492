"""Accept names that clients give to files."""

import re
import unicodedata

from drive.errors import invalid

MOST_CHARACTERS = 1024
MOST_BYTES = 2048  # in UTF-8; what an index row of the database always holds

# Control characters and line separators (categories Cc, Zl, Zp), which no name has for a good reason, and lone
# surrogates, which neither UTF-8 nor PostgreSQL can hold.
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean_file_name(raw: str, *, field: str = "file_name") -> str:
    """Return the name as it is to be stored: as given, composed to Unicode's NFC so that equal names compare equal.

    A name is data: slashes, quotes and marks of the reading direction stay. `content_disposition` makes it safe where
    it leaves the service, and no path on disk is ever built from it.

    Raises:
        DriveError: VALIDATION_ERROR, if nothing of the name is visible, it is longer than 1024 characters or 2048
            bytes, or has control characters.

    """
    if len(raw) > MOST_CHARACTERS:  # before composing, which takes long for very many combining marks
        raise invalid(field, f"must have at most {MOST_CHARACTERS} characters.")
    if CONTROL_CHARACTERS.search(raw):
        raise invalid(field, "must have no line breaks or other control characters.")
    name = unicodedata.normalize("NFC", raw)
    if len(name) > MOST_CHARACTERS:  # some characters are composed by being taken apart
        raise invalid(field, f"must have at most {MOST_CHARACTERS} characters.")
    if len(name.encode()) > MOST_BYTES:
        raise invalid(field, f"must have at most {MOST_BYTES} bytes in UTF-8.")
    if not any(map(_is_visible, name)):
        raise invalid(field, "must not be empty.")
    return name


def _is_visible(char: str) -> bool:
    return not char.isspace() and unicodedata.category(char) != "Cf"
