"""Downloads through the real server: ranges, conditions, and what a browser may do with a file."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from support.api import Api
from support.storage import Stored, object_file

from drive.settings import Settings

CONTENT = bytes(range(256)) * 10
LAST = len(CONTENT) - 1


@pytest_asyncio.fixture
async def file(api: Api) -> Any:
    return await api.upload(CONTENT, content_type="image/png", file_name="a.png")


RANGES: dict[str, tuple[int, int] | int] = {
    "bytes=0-0": (0, 0),
    "bytes=1-2": (1, 2),
    "bytes=5-": (5, LAST),
    "bytes=-5": (LAST - 4, LAST),
    "bytes=0-99999999": (0, LAST),
    "bytes=-99999999": (0, LAST),
    f"bytes={LAST}-": (LAST, LAST),
    "BYTES=1-2": (1, 2),
    f"bytes={LAST + 1}-": 416,
    "bytes=99999999999999999999-": 416,
    "bytes=-0": 416,
    "bytes=2-1": 200,
    "bytes=a-b": 200,
    "bytes=0-1,3-4": 200,
    "": 200,
}


async def test_a_range_is_answered_with_its_bytes(api: Api, file: Any, subtests: pytest.Subtests) -> None:
    for header, expected in RANGES.items():
        with subtests.test(header):
            answer = await api.get(f"/api/files/{file['id']}", headers={"Range": header})
            if isinstance(expected, tuple):
                first, last = expected
                assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
                assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
            elif expected == 416:
                assert answer.status == 416
                if not answer.is_from_bucket:  # which says it in words of its own
                    assert answer.code == "RANGE_NOT_SATISFIABLE"
                    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
            else:
                assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.local_store
async def test_ranges_of_something_else_than_bytes_are_ignored(api: Api, file: Any) -> None:
    for header in ("items=0-1", "bytes"):
        answer = await api.get(f"/api/files/{file['id']}", headers={"Range": header})
        assert (answer.status, answer.body) == (200, CONTENT)


async def test_what_was_seen_before_is_not_sent_again(api: Api, file: Any, subtests: pytest.Subtests) -> None:
    """A client gives back what it was given: a bucket has tags of its own, and is told of each condition."""
    path = f"/api/files/{file['id']}"
    whole = await api.get(path)
    tag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(days=1), usegmt=True)
    for headers, status in [
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": earlier}, 200),
        ({"If-Match": tag}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Unmodified-Since": earlier}, 412),
        ({"If-None-Match": tag, "Range": "bytes=0-1"}, 304),
        ({"If-Match": tag, "Range": "bytes=0-1"}, 206),
    ]:
        with subtests.test(str(headers)):
            answer = await api.get(path, headers=headers)
            assert answer.status == status
            assert answer.body == {200: CONTENT, 206: CONTENT[:2], 304: b""}.get(status, answer.body)


@pytest.mark.local_store
async def test_conditions_decide_what_is_sent(api: Api, file: Any, subtests: pytest.Subtests) -> None:
    path = f"/api/files/{file['id']}"
    whole = await api.get(path)
    tag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    assert tag == f'"{file["hash"]}"'
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(days=1), usegmt=True)
    part = {"Range": "bytes=0-1"}
    for headers, status in [
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"x", W/{tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": earlier}, 200),
        ({"If-Modified-Since": modified, "If-None-Match": '"x"'}, 200),
        ({"If-Match": tag}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Unmodified-Since": earlier}, 412),
        (part | {"If-Range": tag}, 206),
        (part | {"If-Range": modified}, 206),
        (part | {"If-Range": '"x"'}, 200),
        (part | {"If-Range": f"W/{tag}"}, 200),
        (part | {"If-Range": earlier}, 200),
        (part | {"If-None-Match": tag}, 304),
    ]:
        with subtests.test(str(headers)):
            answer = await api.get(path, headers=headers)
            assert answer.status == status
            expected = {200: CONTENT, 206: CONTENT[:2], 304: b""}
            assert answer.body == expected.get(status, answer.body)
            if status == 304:
                assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (tag, "private, no-cache")


@pytest.mark.local_store
async def test_a_condition_may_stand_in_several_lines(api: Api, file: Any) -> None:
    path = f"/api/files/{file['id']}"
    tags = [("If-None-Match", '"x"'), ("If-None-Match", f'"{file["hash"]}"')]
    async with api.session.get(api.url + path, headers=tags) as response:
        assert response.status == 304
    async with api.session.get(api.url + path, headers=[("Range", "bytes=0-1"), ("Range", "bytes=4-5")]) as response:
        assert (response.status, await response.read()) == (200, CONTENT)


OF_THE_FILE = {"Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Type"}


async def test_head_has_the_headers_of_get_and_no_body(api: Api, file: Any) -> None:
    path = f"/api/files/{file['id']}"
    got, head = await api.get(path), await api.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    # HEAD is answered here: a URL is signed for GET. What a bucket adds is its own, and so are its tag and its moment.
    told = OF_THE_FILE if got.is_from_bucket else got.headers.keys() - {"Date", "X-Request-ID"}
    for name in told:
        assert head.headers[name] == got.headers[name]
    ranged = await api.request("HEAD", path, headers={"Range": "bytes=0-1"})
    assert (ranged.status, ranged.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert (await api.request("HEAD", path, headers={"If-None-Match": head.headers["ETag"]})).status == 304
    assert (await api.request("HEAD", f"{path}/info")).body == b""
    assert (await api.request("HEAD", "/api/files/me")).headers["X-Total"] == "1"


async def test_an_empty_file_has_no_ranges(api: Api) -> None:
    file = await api.upload(b"")
    for header, status in (("bytes=0-0", 416), ("bytes=-1", 200)):
        answer = await api.get(f"/api/files/{file['id']}", headers={"Range": header})
        assert answer.status == status
    assert (await api.request("HEAD", f"/api/files/{file['id']}")).headers["Content-Length"] == "0"


KINDS = {
    "image/png": "inline",
    "video/mp4": "inline",
    "text/plain; charset=utf-8": "inline",
    "text/html": "attachment",
    "TEXT/HTML; charset=utf-8": "attachment",
    "image/svg+xml": "attachment",
    "application/xhtml+xml": "attachment",
    "application/pdf": "attachment",
    "text/javascript": "attachment",
    "video/x+xml": "attachment",
    "application/octet-stream": "attachment",
}


async def test_active_content_is_saved_and_never_runs_here(api: Api, subtests: pytest.Subtests) -> None:
    script = b"<script>alert(document.cookie)</script>"
    for content_type, kind in KINDS.items():
        with subtests.test(content_type):
            file = (await api.upload_direct(script, "x.html", content_type)).json
            for query in ("", "?overrideMimeType=text/html", "?download=false"):
                answer = await api.get(f"/api/files/{file['id']}.html{query}")
                assert answer.body == script
                assert answer.headers["Content-Type"] == content_type
                assert answer.headers["Content-Disposition"] == f'{kind}; filename="x.html"'
                assert answer.is_safe_to_show
            saved = await api.get(f"/api/files/{file['id']}?download=true")
            assert saved.headers["Content-Disposition"].startswith("attachment")


async def test_details_are_kept_by_no_cache(api: Api, file: Any) -> None:
    for path in (f"/api/files/{file['id']}/info", "/api/files/me", "/api/files/absent"):
        assert (await api.get(path)).headers["Cache-Control"] == "no-store"


async def test_many_downloads_at_once_each_get_their_own(api: Api) -> None:
    files = [(await api.upload_direct(bytes([n]) * 100_000)).json for n in range(20)]
    answers = await asyncio.gather(*(api.get(f"/api/files/{file['id']}") for file in files * 3))
    assert [it.body for it in answers] == [bytes([n]) * 100_000 for n in range(20)] * 3


async def test_a_reader_has_the_whole_file_even_if_it_is_deleted_meanwhile(api: Api) -> None:
    content = bytes(8_000_000)
    file = await api.upload(content)
    async with api.session.get(f"{api.url}/api/files/{file['id']}") as response:
        assert (await api.delete(f"/api/files/{file['id']}")).status == 200
        assert await response.read() == content


async def test_bytes_that_are_gone_are_logged_and_not_found(api: Api, file: Any, stored: Stored) -> None:
    """In a bucket it is the bucket that finds out, and tells the client in words of its own."""
    stored.remove(file["storage_id"])
    with capture_logs() as lines:
        answer = await api.get(f"/api/files/{file['id']}")
    if answer.is_from_bucket:
        assert answer.status in {403, 404}  # the first where the pool's key may not list what there is
        return
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert {"event": "Object missing", "object_id": file["storage_id"], "log_level": "error"} in [
        {name: line.get(name) for name in ("event", "object_id", "log_level")} for line in lines
    ]


@pytest.mark.local_store
async def test_bytes_that_are_cut_short_break_the_connection(api: Api, file: Any, settings: Settings) -> None:
    """The reader would otherwise wait for the rest, or take what there is for the whole."""
    object_file(settings, file["storage_id"]).write_bytes(CONTENT[:100])
    with capture_logs() as lines, pytest.raises(aiohttp.ClientPayloadError):
        await api.get(f"/api/files/{file['id']}", timeout=aiohttp.ClientTimeout(total=5))
    assert "Request failed" in {line["event"] for line in lines}
    whole = await api.get(f"/api/files/{file['id']}", headers={"Range": "bytes=0-99"})
    assert whole.body == CONTENT[:100]
