"""Which bytes of a file are sent."""

import pytest
from support.files import cloud_file

from drive.files.interfaces import CloudFile, Variant
from drive.files.variants import representation

WEBP = Variant(2000, "image/webp")
IMAGE = cloud_file(name="holiday.jpg", mime_type="image/jpeg", size=9000, variants={"webp": WEBP})
LARGE_IMAGE = cloud_file(
    name="holiday.jpg", mime_type="image/jpeg", variants={"webp": WEBP, "compressed": Variant(300, "image/webp")}
)
VIDEO = cloud_file(name="holiday.mp4", mime_type="video/mp4", variants={"thumbnail": Variant(10, "image/jpeg")})
PLAIN = cloud_file(name="notes", mime_type="text/plain", variants={})


@pytest.mark.parametrize(
    ("file", "asked", "is_owner", "variant"),
    [
        (PLAIN, "", False, ""),
        (PLAIN, "original", False, ""),
        (PLAIN, "original", True, ""),
        (PLAIN, "thumbnail", True, None),
        (IMAGE, "", True, "webp"),
        (IMAGE, "thumbnail", False, "webp"),
        (IMAGE, "original", True, ""),
        (IMAGE, "original", False, "webp"),
        (LARGE_IMAGE, "", False, "compressed"),
        (LARGE_IMAGE, "thumbnail", False, "compressed"),
        (LARGE_IMAGE, "original", False, "webp"),
        (LARGE_IMAGE, "original", True, ""),
        (VIDEO, "", False, ""),
        (VIDEO, "original", False, ""),
        (VIDEO, "thumbnail", False, "thumbnail"),
    ],
)
def test_what_is_sent(file: CloudFile, asked: str, is_owner: bool, variant: str | None) -> None:
    chosen = representation(file, original=asked == "original", thumbnail=asked == "thumbnail", is_owner=is_owner)
    assert (None if chosen is None else chosen.object_name) == {None: None, "": "object"}.get(
        variant, f"object.{variant}"
    )


@pytest.mark.parametrize(
    ("name", "sent_as"),
    [("holiday.jpg", "holiday.webp"), ("holiday", "holiday.webp"), (".hidden", ".hidden.webp"), ("a.b.c", "a.b.webp")],
)
def test_a_variant_is_named_after_its_type_and_known_from_the_rest(name: str, sent_as: str) -> None:
    file = cloud_file(name=name, mime_type="image/jpeg", variants={"webp": WEBP})
    chosen = representation(file, original=False, thumbnail=False, is_owner=False)
    assert chosen is not None
    assert (chosen.file_name, chosen.mime_type, chosen.size_bytes) == (sent_as, "image/webp", 2000)
    assert chosen.etag != file.hash
