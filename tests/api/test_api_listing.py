"""Listing an account's files."""

from typing import Any

import pytest
import pytest_asyncio
from support.api import Api
from support.rows import Rows, add_files, add_pool

NAMES = ["b.txt", "A.txt", "ä.txt", "a_1.txt", "100%.txt"]  # as they were uploaded, each one byte longer


@pytest_asyncio.fixture
async def files(api: Api) -> list[Any]:
    """Upload a few files."""
    return [(await api.upload_direct(b"x" * (n + 1), name)).json for n, name in enumerate(NAMES)]


async def listed(api: Api, query: str = "") -> list[str]:
    answer = await api.get(f"/api/files/me?{query}")
    assert answer.status == 200, answer
    return [file["name"] for file in answer.json]


ORDERS = {
    "": list(reversed(NAMES)),
    "order=date": list(reversed(NAMES)),
    "order=date&orderDesc=false": NAMES,
    "order=DATE&order_desc=0": NAMES,
    "order=size": list(reversed(NAMES)),
    "order=size&ORDERDESC=False": NAMES,
    "order=name&orderDesc=false": sorted(NAMES),
    "order=name&orderDesc=true": sorted(NAMES, reverse=True),
    "order_desc=false&order=": NAMES,
}
SEARCHES = {
    "query=TXT": 5,
    "query=a": 2,
    "query=A.t": 1,
    "query=%C3%84": 1,
    "query=%25": 1,
    "query=_": 1,
    "query=%5C": 0,
    "query=%27": 0,
    "query=": 5,
    "query=nothing": 0,
}
PAGES = {
    "take=2": [4, 3],
    "offset=1&take=2": [3, 2],
    "OFFSET=4&take=2": [0],
    "offset=5": [],
    "offset=10000000&take=1": [],
    "limit=1": [4],
    "take=100": [4, 3, 2, 1, 0],
    "take=1&take=2": [4, 3],
    "query=txt&offset=3&take=1&orderDesc=false": [3],
}
WRONG = {
    "offset=-1": ["offset"],
    "offset=10000001": ["offset"],
    "offset=x": ["offset"],
    "take=0": ["take"],
    "take=-1": ["take"],
    "take=101": ["take"],
    "take=100000": ["take"],
    "take=1.5": ["take"],
    "take=99999999999999999999": ["take"],
    "limit=0": ["limit"],
    "order=bytes": ["order"],
    "order=name;drop": ["order"],
    "orderDesc=yes": ["orderDesc"],
    "recycled=2": ["recycled"],
    "pool=local": ["pool"],
    "query=%00": ["query"],
    "query=" + "x" * 1025: ["query"],
    "offset=-1&take=0&pool=x": ["offset", "take", "pool"],
}


@pytest.mark.usefixtures("files")
async def test_files_come_in_the_order_that_is_asked_for(api: Api, subtests: pytest.Subtests) -> None:
    for query, names in ORDERS.items():
        with subtests.test(query):
            assert await listed(api, query) == names


@pytest.mark.usefixtures("files")
async def test_a_part_of_the_name_is_found_whatever_the_case(api: Api, subtests: pytest.Subtests) -> None:
    """It is text, not a pattern; the total is that of what was found."""
    for query, count in SEARCHES.items():
        with subtests.test(query):
            answer = await api.get(f"/api/files/me?{query}")
            assert (len(answer.json), answer.headers["X-Total"]) == (count, str(count))


@pytest.mark.usefixtures("files")
async def test_a_page_has_what_is_asked_for_and_the_total(api: Api, subtests: pytest.Subtests) -> None:
    for query, places in PAGES.items():
        with subtests.test(query):
            answer = await api.get(f"/api/files/me?{query}")
            assert [file["name"] for file in answer.json] == [NAMES[place] for place in places]
            assert answer.headers["X-Total"] == "5"


async def test_a_wrong_parameter_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for query, named in WRONG.items():
        with subtests.test(query[:40]):
            answer = await api.get(f"/api/files/me?{query}")
            assert (answer.status, answer.code, sorted(answer.json["errors"])) == (
                400,
                "VALIDATION_ERROR",
                sorted(named),
            )


async def test_pages_are_twenty_files_unless_asked_otherwise_and_have_each_once(api: Api, rows: Rows) -> None:
    """All were made at the same moment: ties are broken the same way on every page."""
    await add_files(rows, 50)
    assert len(await listed(api)) == 20
    for order in ("date", "name", "size"):
        seen = [
            name for offset in range(0, 50, 7) for name in await listed(api, f"order={order}&offset={offset}&take=7")
        ]
        assert sorted(seen) == sorted({f"file {n}" for n in range(1, 51)})


async def test_a_listing_has_the_details_that_info_has(api: Api, files: list[Any]) -> None:
    for file in (await api.get("/api/files/me")).json:
        assert file == (await api.get(f"/api/files/{file['id']}/info")).json
        assert file in files


async def test_a_listing_is_of_one_account_and_of_one_pool_where_it_is_given(api: Api, rows: Rows) -> None:
    other = await add_pool(rows)
    await api.upload(b"here", file_name="here")
    await api.upload(b"there", file_name="there", pool_id=other)
    await api.signed_in_as("subscriber").upload(b"theirs", file_name="theirs")
    assert await listed(api) == ["there", "here"]
    assert await listed(api, f"pool={other}") == ["there"]
    assert (await api.get(f"/api/files/me?pool={other}")).headers["X-Total"] == "1"
    assert await listed(api, "pool=99999999-9999-4999-8999-999999999999") == []
    assert (await api.signed_in_as("admin").get("/api/files/me")).headers["X-Total"] == "0"


async def test_recycled_files_are_listed_apart(api: Api, rows: Rows, files: list[Any]) -> None:
    """They take nothing of the quota any more, and are for nobody but their owner."""
    await rows.execute("update files set is_marked_recycle = true where id = $1", files[0]["id"])
    kept, recycled = await api.get("/api/files/me"), await api.get("/api/files/me?recycled=true")
    assert (kept.headers["X-Total"], len(kept.json)) == ("4", 4)
    assert (recycled.headers["X-Total"], [file["id"] for file in recycled.json]) == ("1", [files[0]["id"]])
    assert (await api.get(f"/api/files/{files[0]['id']}")).status == 200
    for other in ("subscriber", None):
        assert (await api.signed_in_as(other).get(f"/api/files/{files[0]['id']}")).status == 404
        assert (await api.signed_in_as(other).get(f"/api/files/{files[0]['id']}/info")).status == 404


async def test_what_is_deleted_is_neither_listed_nor_counted(api: Api, files: list[Any]) -> None:
    deleted = await api.delete(f"/api/files/{files[2]['id']}")
    assert deleted.json == files[2]
    answer = await api.get("/api/files/me")
    assert (answer.headers["X-Total"], len(answer.json)) == ("4", 4)
    for path in ("", "/info"):
        assert (await api.get(f"/api/files/{files[2]['id']}{path}")).status == 404
    assert (await api.delete(f"/api/files/{files[2]['id']}")).status == 404
