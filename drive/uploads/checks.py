"""What is wrong with a request to upload, before anything is looked up."""

from datetime import UTC, datetime

import msgspec

from drive.errors import invalid
from drive.files.names import clean_file_name
from drive.mime import is_mime_type
from drive.uploads.interfaces import CreateUpload

_SHA256_HEX_CHARS = 64
_HASH_MAX_CHARS = 256
_CONTENT_TYPE_MAX_CHARS = 256
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # whose UTC no time zone moves beyond what a datetime holds


def request(wanted: CreateUpload) -> CreateUpload:
    """Refuse what cannot be uploaded, whoever asks; return the rest with the name as it is stored.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    file_name = text(wanted.file_name, wanted.content_type)
    if wanted.encrypt_password is not None:
        raise invalid("encrypt_password", "the server does not encrypt; encrypt the file before you send it")
    if wanted.expired_at is not None and not datetime.now(UTC) < wanted.expired_at < _LATEST:
        raise invalid("expired_at", f"must be in the future, and before {_LATEST.year}")
    return msgspec.structs.replace(wanted, file_name=file_name)


def declared(content_hash: str) -> None:
    """Refuse what cannot be the hash of a content.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    if len(content_hash) > _HASH_MAX_CHARS or not content_hash:
        raise invalid("hash", f"must have 1 to {_HASH_MAX_CHARS} characters; send the SHA-256 in hex")


def declared_sha256(declared: str) -> bytes | None:
    """Return the declared hash if it is a SHA-256. Clients of the original send others too; those prove nothing."""
    if len(declared) != _SHA256_HEX_CHARS:
        return None
    try:
        return bytes.fromhex(declared)
    except ValueError:
        return None


def text(file_name: str, content_type: str) -> str:
    """Return the name as it is stored; refuse one that cannot be, or a content type that is none.

    Raises:
        DriveError: VALIDATION_ERROR.

    """
    if len(content_type) > _CONTENT_TYPE_MAX_CHARS or not is_mime_type(content_type):
        raise invalid("content_type", "must be a MIME type such as image/png")
    return clean_file_name(file_name)
