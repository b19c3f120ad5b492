"""Which bytes of a file are sent: its own, or those that were made of them."""

from dataclasses import dataclass

from drive.files.interfaces import CloudFile


@dataclass(frozen=True, slots=True)
class Representation:
    """One of the forms that a file is stored in."""

    object_name: str
    file_name: str
    mime_type: str
    etag: str
    size_bytes: int


def representation(file: CloudFile, *, original: bool, thumbnail: bool, is_owner: bool) -> Representation | None:
    """Return what is sent of a file; None where there is no thumbnail.

    What was uploaded may tell where a picture was taken. So all but the owner are sent what was made of it, for
    `original` too, where there is any: in full size and without metadata.
    """
    wanted: tuple[str, ...]
    if thumbnail:
        wanted = ("thumbnail", "compressed", "webp")
    elif not original:
        wanted = ("compressed", "webp")
    else:
        wanted = () if is_owner else ("webp",)
    variant = next((name for name in wanted if name in file.variants), None)
    if variant is not None:
        return _variant(file, variant)
    return None if thumbnail else Representation(file.storage_id, file.name, file.mime_type, file.hash, file.size)


def _variant(file: CloudFile, name: str) -> Representation:
    variant = file.variants[name]
    stem, dot, _ = file.name.rpartition(".")
    return Representation(
        object_name=f"{file.storage_id}.{name}",
        file_name=f"{stem if dot and stem else file.name}.{variant.mime_type.partition('/')[2]}",
        mime_type=variant.mime_type,
        etag=f"{file.hash}-{name}",
        size_bytes=variant.size_bytes,
    )
