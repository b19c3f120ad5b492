"""What tus 1.0 says in headers: https://tus.io/protocols/resumable-upload."""

import hashlib
import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drive.errors import Code, DriveError, invalid

EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"

_DIGESTS: dict[str, Callable[..., Any]] = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "md5": hashlib.md5}
ALGORITHMS = ",".join(_DIGESTS)

_BYTES = re.compile("[0-9]{1,18}")
_KEY = re.compile("[!-+\\--~]+")  # printable ASCII without space and comma


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must come to."""

    algorithm: str
    digest: bytes

    def begun(self) -> Any:
        """Return a hasher that has seen nothing yet."""
        return _DIGESTS[self.algorithm](usedforsecurity=False)

    def check(self, hasher: Any) -> None:
        """Refuse bytes that come to something else.

        Raises:
            DriveError: CHECKSUM_MISMATCH.

        """
        if hasher.digest() != self.digest:
            message = f"The bytes of this request are not what its {self.algorithm} says. None counts; send them again."
            raise DriveError(Code.CHECKSUM_MISMATCH, message)


def byte_count(header: str, text: str) -> int:
    """Return the number of bytes that a header gives.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    if not _BYTES.fullmatch(text):
        raise invalid(header, "is required: a whole number of bytes")
    return int(text)


def checksum(text: str) -> Checksum:
    """Return what `Upload-Checksum` gives.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in _DIGESTS:
        raise invalid("Upload-Checksum", f"must begin with one of {ALGORITHMS}")
    digest = _decoded("Upload-Checksum", encoded)
    if len(digest) != _DIGESTS[algorithm](usedforsecurity=False).digest_size:
        raise invalid("Upload-Checksum", f"must be a whole {algorithm} in base64, after a space")
    return Checksum(algorithm, digest)


def metadata(text: str) -> dict[str, str]:
    """Return what `Upload-Metadata` gives: keys, and values that were in base64.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise invalid("Upload-Metadata", "must have keys of ASCII characters, with a comma between the pairs")
        if key in found:
            raise invalid("Upload-Metadata", "must have each key once")
        found[key] = _text(key, _decoded("Upload-Metadata", encoded))
    return found


def _decoded(header: str, encoded: str) -> bytes:
    try:
        return b64decode(encoded.encode("ascii"), validate=True)
    except (Error, UnicodeEncodeError) as error:
        raise invalid(header, "must have its values in base64") from error


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise invalid("Upload-Metadata", f"must be UTF-8 in base64, which {key[:100]} is not") from error
