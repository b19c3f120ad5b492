"""Downloads of what was made of a file."""

from typing import Any

import pytest
import pytest_asyncio
from support.api import Api
from support.rows import Rows
from support.storage import Stored

pytestmark = pytest.mark.each_store

STORED = b"as it was uploaded"
VARIANTS = {"webp": b"in full size", "compressed": b"smaller"}


@pytest_asyncio.fixture
async def image(api: Api, rows: Rows, stored: Stored) -> Any:
    """Give a file of which something was made."""
    file = await api.upload(STORED, content_type="image/jpeg", file_name="holiday.jpg")
    for name, data in VARIANTS.items():
        stored.put(f"{file['storage_id']}.{name}", data)
    made = {name: {"size_bytes": len(data), "mime_type": "image/webp"} for name, data in VARIANTS.items()}
    await rows.execute("update objects set variants = $1", made)
    return file


async def test_the_owner_can_have_what_was_uploaded_and_others_what_was_made_of_it(api: Api, image: Any) -> None:
    path = f"/api/files/{image['id']}"
    nobody = api.signed_in_as(None)
    assert (await api.get(path)).body == VARIANTS["compressed"]
    assert (await nobody.get(path)).body == VARIANTS["compressed"]
    assert (await api.get(path + "?original=true")).body == STORED
    assert (await nobody.get(path + "?original=true")).body == VARIANTS["webp"]
    assert (await api.signed_in_as("subscriber").get(path + "?original=true")).body == VARIANTS["webp"]
    assert (await nobody.get(path + "?thumbnail=true")).body == VARIANTS["compressed"]


async def test_a_variant_has_a_type_a_name_and_an_etag_of_its_own(api: Api, image: Any) -> None:
    stored = await api.get(f"/api/files/{image['id']}?original=true")
    made = await api.get(f"/api/files/{image['id']}")
    assert made.headers["Content-Type"] == "image/webp"
    assert 'filename="holiday.webp"' in made.headers["Content-Disposition"]
    assert made.headers["ETag"] != stored.headers["ETag"]
    cached = await api.get(f"/api/files/{image['id']}", headers={"If-None-Match": made.headers["ETag"]})
    assert cached.status == 304
    part = await api.get(f"/api/files/{image['id']}", headers={"Range": "bytes=0-2"})
    assert (part.status, part.body) == (206, VARIANTS["compressed"][:3])


async def test_the_details_say_what_there_is(api: Api, image: Any) -> None:
    info = (await api.get(f"/api/files/{image['id']}/info")).json
    assert info["variants"]["webp"] == {"size_bytes": len(VARIANTS["webp"]), "mime_type": "image/webp"}
    assert (info["has_compression"], info["has_thumbnail"]) == (True, False)
    assert info["size"] == len(STORED)
