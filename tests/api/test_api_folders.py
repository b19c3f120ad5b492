"""Folders: `/api/index`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from support.api import Answer, Api
from support.queries import counting
from support.rows import Rows, add_files, add_pool, used_bytes, wrong_counts
from support.waiting import eventually

from drive.containers import Container
from drive.peers import Peers
from drive.peers.seed import PLAIN_ID
from drive.settings import Settings

Serve = Callable[[Container], Awaitable[Api]]

UNREACHED = "99999999-9999-4999-8999-999999999999"
STRANGE = ["/100%/", "/it's/", '/"so"/', "/a b/", "/_/", "/文件/", "/a\\b/", "/*?[x]/", "/👨\u200d👩/", "/.../", "/a0/"]
REFUSED = {
    "dot": "/a/./b",
    "dots": "..",
    "a control character": "/a\x1b/",
    "a line feed": "a\nb",
    "a NUL": "a\x00b",
    "10 000 characters": "x" * 10_000,
    "1024 characters, 3072 bytes": "文" * 1022,
    "65 folders": "a/" * 65,
}


async def put(api: Api, file: Any, path: str) -> Any:
    answer = await api.post("/api/index/create", json={"file_id": file["id"], "path": path})
    assert answer.status == 200, answer
    return answer.json


async def move(api: Api, index_id: str, new_path: str) -> Answer:
    return await api.post(f"/api/index/move/{index_id}", json={"new_path": new_path})


async def browse(api: Api, path: str = "/", query: str = "") -> Any:
    answer = await api.get(f"/api/index/browse?path={quote(path, safe='')}&{query}")
    assert answer.status == 200, answer
    assert answer.headers["X-Total"] == str(answer.json["total_count"])
    return answer.json


async def names(api: Api, path: str = "/", query: str = "") -> list[str]:
    return [entry["file"]["name"] for entry in (await browse(api, path, query))["files"]]


async def indexes(rows: Rows) -> int:
    return int(await rows.fetchval("select count(*) from file_indexes"))


async def add_indexes(rows: Rows, count: int, path: str = "'/big/' || n || '/'") -> None:
    """Put each of the files of `add_files` into a folder, by SQL over its number."""
    await rows.execute(
        f"""
        insert into file_indexes (account_id, path, file_id)
        select $2::uuid, {path}, 'file-' || n from generate_series(1, $1::int) n
        """,
        count,
        PLAIN_ID,
    )


async def test_a_file_is_in_the_folders_that_it_was_put_into(api: Api) -> None:
    file = await api.upload(b"x", file_name="x.txt", path="up//loaded")
    made = await put(api, file, "other")
    assert made == {"index_id": made["index_id"], "file_id": file["id"], "path": "/other/", "message": made["message"]}
    root = await browse(api)
    assert (root["files"], root["folders"], root["folders_next"], root["total_count"]) == (
        [],
        ["other", "up"],
        None,
        0,
    )
    assert (await browse(api, "/up"))["folders"] == ["loaded"]
    shown = await browse(api, "other/")
    entry = shown["files"][0]
    assert shown["path"] == entry["path"] == "/other/"
    assert (entry["id"], entry["file_id"], entry["file"]) == (made["index_id"], file["id"], file)
    assert (entry["account_id"], entry["account"], entry["deleted_at"]) == (PLAIN_ID, None, None)
    everything = (await api.get("/api/index/all?order=name")).json
    assert sorted(entry["path"] for entry in everything["files"]) == ["/other/", "/up/loaded/"]
    assert everything["total_count"] == 2


async def test_direct_uploads_and_known_contents_go_into_folders(api: Api) -> None:
    direct = (await api.upload_direct(b"x", path="/a")).json
    assert (await api.create(b"x", path="b")).json["file"]["id"] == direct["id"]
    assert (await api.create(b"x", path="/b/")).json["file_exists"]
    assert (await browse(api))["folders"] == ["a", "b"]
    assert (await browse(api, "/b"))["total_count"] == 1


async def test_paths_are_kept_and_matched_as_they_are(api: Api, subtests: pytest.Subtests) -> None:
    file = await api.upload(b"x")
    for path in STRANGE:
        await put(api, file, path)
    assert (await browse(api))["folders"] == sorted(path[1:-1] for path in STRANGE)
    for path in STRANGE:
        with subtests.test(path):
            shown = await browse(api, path)
            assert (shown["path"], shown["total_count"], shown["folders"]) == (path, 1, [])
            assert shown["files"][0]["path"] == path
            found = await api.get(f"/api/index/search?query=file&path={quote(path)}")
            assert [entry["path"] for entry in found.json["results"]] == [path]


async def test_a_path_that_cannot_be_is_refused_wherever_it_is_given(api: Api, subtests: pytest.Subtests) -> None:
    file = await api.upload(b"x")
    index_id = (await put(api, file, "/a"))["index_id"]
    for what, path in REFUSED.items():
        with subtests.test(what):
            created = await api.post("/api/index/create", json={"file_id": file["id"], "path": path})
            assert (created.status, list(created.json["errors"])) == (400, ["path"])
            moved = await move(api, index_id, path)
            assert (moved.status, list(moved.json["errors"])) == (400, ["new_path"])
            assert (await api.create(b"y", path=path)).status == 400
            for method, route in (("GET", "browse?"), ("GET", "search?query=x&"), ("DELETE", "clear-path?")):
                if len(quote(path)) < 8000:
                    answer = await api.request(method, f"/api/index/{route}path={quote(path)}")
                    assert (answer.status, list(answer.json["errors"])) == (400, ["path"])
    assert (await browse(api, "/a"))["total_count"] == 1


BODIES = [b"", b"{}", b"null", b"[]", b'{"file_id": 1, "path": 2, "new_path": 3}', b'{"path": "\\ud800"}', b"\xff"]


async def test_a_body_of_another_form_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    for body in BODIES:
        for route in ("create", f"move/{UNREACHED}"):
            with subtests.test(f"{route} {body!r}"):
                answer = await api.post(f"/api/index/{route}", data=body)
                assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


WRONG = {
    "browse?take=101": ["take"],
    "browse?offset=-1&order=path": ["offset", "order"],
    "browse?path=%00": ["path"],
    "all?take=0": ["take"],
    "all?query=%00": ["query"],
    "unindexed?pool=x&recycled=maybe": ["pool", "recycled"],
    "search": ["query"],
    "search?query=": ["query"],
    "search?query=" + "x" * 1025: ["query"],
}


async def test_a_wrong_parameter_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for query, named in WRONG.items():
        with subtests.test(query[:40]):
            answer = await api.get(f"/api/index/{query}")
            assert (answer.status, sorted(answer.json["errors"])) == (400, sorted(named))


async def test_pages_have_each_entry_once_in_the_order_that_is_asked_for(api: Api, rows: Rows) -> None:
    await add_files(rows, 30)
    await add_indexes(rows, 30, "'/a/'")
    everything = [f"file {n}" for n in range(1, 31)]
    for order in ("date", "name", "size"):
        for descending in ("true", "false"):
            query = f"order={order}&orderDesc={descending}"
            seen = [
                name
                for offset in (0, 7, 14, 21, 28)
                for name in await names(api, "/a", f"{query}&offset={offset}&take=7")
            ]
            assert sorted(seen) == sorted(everything)
            if order != "date":  # all were made at one moment
                expected = sorted(everything) if order == "name" else everything
                assert seen == (expected if descending == "false" else expected[::-1])
    assert len(await names(api, "/a")) == 20
    assert (await browse(api, "/a", "offset=100"))["total_count"] == 30
    assert (await names(api, "/a", "query=LE%2029")) == ["file 29"]
    for route, key in (("all?", "files"), ("search?query=FILE&", "results"), ("search?path=a&query=text/&", "results")):
        answer = await api.get(f"/api/index/{route}take=3&offset=28&order=size&order_desc=false")
        assert [entry["file"]["name"] for entry in answer.json[key]] == ["file 29", "file 30"]
        assert answer.headers["X-Total"] == str(answer.json["total_count"]) == "30"


async def test_folders_come_in_pages_of_a_thousand(api: Api, rows: Rows) -> None:
    await add_files(rows, 1500)
    await add_indexes(rows, 1500, "'/big/' || n % 1200 || '/deeper/'")
    first = await browse(api, "/big")
    assert first["folders"] == sorted(first["folders"])
    assert (len(first["folders"]), first["total_count"]) == (1000, 0)
    second = await browse(api, "/big", f"foldersAfter={first['folders_next']}")
    assert second["folders_next"] is None
    assert {*first["folders"], *second["folders"]} == {str(n) for n in range(1200)}
    assert len(second["folders"]) == 200


async def test_a_search_is_for_text_in_names_descriptions_and_types(api: Api, rows: Rows) -> None:
    files = [
        (await api.upload_direct(b"x%d" % n, name, kind, path="/s")).json
        for n, (name, kind) in enumerate(
            [("Report_1.pdf", "application/pdf"), ("100%.txt", "text/plain"), ("b", "image/png")]
        )
    ]
    await rows.execute("update files set description = 'A SUNNY day' where id = $1", files[2]["id"])

    async def found(query: str) -> set[str]:
        answer = await api.get(f"/api/index/search?query={quote(query)}")
        assert answer.json["query"] == query
        assert answer.json["path"] is None
        assert answer.json["total_count"] == len(answer.json["results"])
        return {entry["file"]["name"] for entry in answer.json["results"]}

    assert await found("report") == {"Report_1.pdf"}
    assert await found("sunny") == {"b"}
    assert await found("PNG") == {"b"}
    assert await found("%") == {"100%.txt"}
    assert await found("_") == {"Report_1.pdf"}
    assert await found("\\") == set()
    assert (await api.get("/api/index/search?query=report&path=/other")).json["results"] == []


async def test_unindexed_files_are_those_in_no_folder(api: Api, rows: Rows) -> None:
    await add_files(rows, 5)
    await add_indexes(rows, 3)
    other = await add_pool(rows)
    elsewhere = await api.upload(b"x", pool_id=other, file_name="elsewhere")

    async def unindexed(query: str) -> tuple[list[str], str]:
        answer = await api.get(f"/api/index/unindexed?order=name&orderDesc=false&{query}")
        return [file["name"] for file in answer.json], answer.headers["X-Total"]

    assert await unindexed("") == (["elsewhere", "file 4", "file 5"], "3")
    assert await unindexed("take=1&offset=1") == (["file 4"], "3")
    assert await unindexed("offset=9") == ([], "3")
    assert await unindexed(f"pool={other}") == (["elsewhere"], "1")
    assert await unindexed("query=FILE") == (["file 4", "file 5"], "2")
    await api.post(f"/api/files/{elsewhere['id']}/recycle")
    assert await unindexed("recycled=true") == (["elsewhere"], "1")


async def test_a_moved_entry_keeps_its_id(api: Api) -> None:
    file = await api.upload(b"x")
    index_id = (await put(api, file, "/a"))["index_id"]
    moved = await move(api, index_id, "b//c")
    assert moved.json == {
        "file_id": file["id"],
        "index_id": index_id,
        "old_path": "/a/",
        "new_path": "/b/c/",
        "message": moved.json["message"],
    }
    assert (await browse(api))["folders"] == ["b"]
    assert (await browse(api, "/b/c"))["files"][0]["id"] == index_id
    again = await move(api, index_id, "/b/c")
    assert (again.status, again.json["old_path"]) == (200, "/b/c/")


async def test_a_file_is_in_a_folder_once(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", path="/b")
    index_id = (await put(api, file, "/a"))["index_id"]
    moved = await move(api, index_id, "/b/")
    assert (moved.status, moved.code) == (409, "CONFLICT")
    created = await api.post("/api/index/create", json={"file_id": file["id"], "path": "b"})
    assert (created.status, list(created.json["errors"])) == (400, ["file_id"])
    assert await indexes(rows) == 2


@pytest.mark.parametrize("file_id", ["absent", "pool:1", "", "file\x00", "é"])
async def test_a_file_that_is_not_there_cannot_be_put_anywhere(api: Api, file_id: str) -> None:
    answer = await api.post("/api/index/create", json={"file_id": file_id, "path": "/"})
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize("index_id", [UNREACHED, "1", "null", "x" * 100, "%00", "%ED%A0%80"])
async def test_an_entry_that_is_not_there_is_404(api: Api, index_id: str) -> None:
    assert (await move(api, index_id, "/")).code == "NOT_FOUND"
    for query in ("", "?deleteFile=true"):
        assert (await api.delete(f"/api/index/remove/{index_id}{query}")).code == "NOT_FOUND"


async def test_one_account_has_nothing_of_anothers(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", path="/a")
    index_id = (await browse(api, "/a"))["files"][0]["id"]
    for other in (api.signed_in_as("subscriber"), api.signed_in_as("admin")):
        root = await browse(other)
        assert (root["folders"], (await browse(other, "/a"))["files"]) == ([], [])
        assert (await other.get("/api/index/all")).json["total_count"] == 0
        assert (await other.get("/api/index/search?query=file")).json["results"] == []
        assert (await other.get("/api/index/unindexed")).json == []
        created = await other.post("/api/index/create", json={"file_id": file["id"], "path": "/a"})
        assert created.status == (await move(other, index_id, "/b")).status == 404
        assert (await other.delete(f"/api/index/remove/{index_id}?deleteFile=true")).status == 404
        cleared = await other.delete("/api/index/clear-path?path=/a&deleteFiles=true")
        assert (cleared.json["removed_count"], cleared.json["files_deleted"]) == (0, 0)
    assert (await browse(api, "/a"))["files"][0]["file"] == file
    assert await indexes(rows) == 1


async def test_nothing_is_for_those_who_have_not_signed_in(api: Api) -> None:
    nobody = api.signed_in_as(None)
    for path in ("browse", "all", "unindexed", "search?query=x"):
        assert (await nobody.get(f"/api/index/{path}")).status == 401
    for method, path in (("POST", "create"), ("POST", f"move/{UNREACHED}"), ("DELETE", f"remove/{UNREACHED}")):
        assert (await nobody.request(method, f"/api/index/{path}")).status == 401
    assert (await nobody.delete("/api/index/clear-path")).status == 401


async def test_removing_an_entry_keeps_the_file_unless_it_is_to_be_deleted(api: Api, rows: Rows) -> None:
    file = await api.upload(b"xy", file_name="x.txt", path="/a")
    first = (await browse(api, "/a"))["files"][0]["id"]
    second = (await put(api, file, "/b"))["index_id"]
    await put(api, file, "/c")
    removed = (await api.delete(f"/api/index/remove/{first}")).json
    assert removed == {
        "message": removed["message"],
        "file_id": file["id"],
        "file_name": "x.txt",
        "path": "/a/",
        "file_data_deleted": False,
    }
    assert (await api.delete(f"/api/index/remove/{first}")).status == 404
    assert (await browse(api))["folders"] == ["b", "c"]
    assert (await api.get(f"/api/files/{file['id']}")).body == b"xy"
    removed = (await api.delete(f"/api/index/remove/{second}?deleteFile=true")).json
    assert (removed["path"], removed["file_data_deleted"]) == ("/b/", True)
    assert (await api.get(f"/api/files/{file['id']}")).status == 404
    assert (await browse(api))["folders"] == []
    assert await indexes(rows) == await used_bytes(rows) == 0
    assert await rows.fetchval("select count(*) from jobs where kind = 'delete_object'") == 1


async def test_clearing_a_folder_leaves_those_in_it(api: Api, rows: Rows) -> None:
    await add_files(rows, 9)
    await add_indexes(rows, 9, "case when n <= 4 then '/a/' when n <= 7 then '/a/b/' else '/a%/' end")
    cleared = (await api.delete("/api/index/clear-path?path=a")).json
    assert cleared == {
        "message": cleared["message"],
        "path": "/a/",
        "removed_count": 4,
        "files_deleted": 0,
        "has_more": False,
    }
    assert (await api.get("/api/files/me")).headers["X-Total"] == "9"
    assert (await browse(api))["folders"] == ["a", "a%"]
    cleared = (await api.delete("/api/index/clear-path?path=/a/b&deleteFiles=true")).json
    assert (cleared["removed_count"], cleared["files_deleted"]) == (3, 3)
    assert (await api.get("/api/files/me")).headers["X-Total"] == "6"
    assert (await browse(api))["folders"] == ["a%"]
    assert (await api.delete("/api/index/clear-path")).json["path"] == "/"
    assert await wrong_counts(rows) == []


async def test_clearing_takes_at_most_500_files_at_once(api: Api, rows: Rows) -> None:
    await add_files(rows, 1100)
    await add_indexes(rows, 1100, "'/'")
    seen = []
    for delete in ("true", "true", "false", "false"):
        cleared = (await api.delete(f"/api/index/clear-path?deleteFiles={delete}")).json
        seen.append((cleared["removed_count"], cleared["files_deleted"], cleared["has_more"]))
    assert seen == [(500, 500, True), (500, 500, True), (100, 0, False), (0, 0, False)]
    assert await rows.fetchval("select count(*) from files where deleted_at is null") == 100
    assert await rows.fetchval("select count(*) from jobs") == 1000
    assert await wrong_counts(rows) == []


async def test_a_shared_content_stays_while_another_file_has_it(api: Api, rows: Rows) -> None:
    first = (await api.upload_direct(b"same", path="/a")).json
    second = (await api.upload_direct(b"same", path="/b")).json
    await api.delete("/api/index/clear-path?path=/a&deleteFiles=true")
    assert (await api.get(f"/api/files/{first['id']}")).status == 404
    assert (await api.get(f"/api/files/{second['id']}")).body == b"same"
    assert await wrong_counts(rows) == []


async def test_a_recycled_file_is_back_in_its_folders_when_it_is_restored(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", path="/a")
    index_id = (await browse(api, "/a"))["files"][0]["id"]
    await api.post(f"/api/files/{file['id']}/recycle")
    assert (await browse(api))["folders"] == []
    assert (await browse(api, "/a"))["total_count"] == (await api.get("/api/index/all")).json["total_count"] == 0
    assert (await api.get("/api/index/search?query=file")).json["total_count"] == 0
    assert (await move(api, index_id, "/b")).status == (await api.delete(f"/api/index/remove/{index_id}")).status == 404
    created = await api.post("/api/index/create", json={"file_id": file["id"], "path": "/b"})
    assert (created.status, created.code) == (409, "CONFLICT")
    assert (await api.delete("/api/index/clear-path?path=/a&deleteFiles=true")).json["removed_count"] == 0
    await api.delete(f"/api/files/{file['id']}/recycle")
    assert (await browse(api, "/a"))["files"][0]["id"] == index_id
    assert await indexes(rows) == 1


async def test_a_deleted_file_leaves_its_folders(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x", path="/a")
    await put(api, file, "/b")
    await api.delete(f"/api/files/{file['id']}")
    assert await indexes(rows) == 0


async def test_requests_at_once_double_and_lose_nothing(api: Api, rows: Rows) -> None:
    """Each kind against itself and all others; whatever comes first, none fails, and no entry outlives its file."""
    await add_files(rows, 40)
    await add_indexes(rows, 40, "'/a/'")
    ids = [str(row["id"]) for row in await rows.fetch("select id from file_indexes order by file_id")]
    requests = [
        *(move(api, index_id, path) for index_id in ids[:20] for path in ("/b", "/c", "/a")),
        *(api.delete(f"/api/index/remove/{index_id}?deleteFile=true") for index_id in ids[:10] * 2),
        *(api.delete(f"/api/index/clear-path?path={path}&deleteFiles=true") for path in "abcabc"),
        *(api.post("/api/index/create", json={"file_id": f"file-{n}", "path": p}) for n in range(1, 41) for p in "bcc"),
        *(
            api.post("/api/files/batches/delete", json={"file_ids": [f"file-{n}" for n in range(40, 0, -1)]})
            for _ in "ab"
        ),
    ]
    answers = await asyncio.gather(*requests)
    assert {answer.status for answer in answers} <= {200, 400, 404, 409}
    assert await wrong_counts(rows) == []
    assert await indexes(rows) == await rows.fetchval("select count(*) from files where deleted_at is null") == 0
    assert await used_bytes(rows) == 0


async def test_of_two_twins_one_does_it(api: Api, rows: Rows) -> None:
    file = await api.upload(b"x")
    created = await asyncio.gather(
        *(api.post("/api/index/create", json={"file_id": file["id"], "path": "/a"}) for _ in range(5))
    )
    assert sorted(answer.status for answer in created) == [200, 400, 400, 400, 400]
    index_id = next(answer.json["index_id"] for answer in created if answer.status == 200)
    moved = await asyncio.gather(*(move(api, index_id, f"/{n}") for n in range(5)))
    steps = {answer.json["old_path"]: answer.json["new_path"] for answer in moved}
    at, seen = "/a/", 0
    while at in steps:
        at, seen = steps.pop(at), seen + 1
    assert (seen, await names(api, at)) == (5, ["file.bin"])
    removed = await asyncio.gather(*(api.delete(f"/api/index/remove/{index_id}") for _ in range(5)))
    assert sorted(answer.status for answer in removed) == [200, 404, 404, 404, 404]


async def test_deleting_is_in_the_audit_trail(api: Api, peers: Peers) -> None:
    file = await api.upload(b"x", path="/a")
    await api.delete("/api/index/clear-path?path=/a")
    index_id = (await put(api, file, "/a"))["index_id"]
    await api.delete(f"/api/index/remove/{index_id}?deleteFile=true")
    await eventually(lambda: peers.world.action_logs)
    assert [entry.action for entry in peers.world.action_logs] == ["files.delete"]


# A transaction's begin and commit count as statements.
STATEMENTS = {
    "browse": 1,
    "all": 1,
    "unindexed": 1,
    "search": 1,
    "create": 1,
    "move": 1,
    "remove": 1,
    "remove, and delete": 4,
    "clear": 1,
    "clear, and delete": 4,
}


@pytest.mark.parametrize("count", [3, 150])
async def test_requests_ask_the_database_this_often(
    settings: Settings, serve_app: Serve, rows: Rows, count: int
) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    await add_files(rows, count)
    await add_indexes(rows, count)
    await add_indexes(rows, count, "'/many/'")
    await api.get("/api/index/all")  # a new connection is told of types first
    seen: dict[str, int] = {}

    async def counted(name: str, request: Awaitable[Answer]) -> Any:
        with database.counted() as statements:
            answer = await request
        assert answer.status == 200, answer
        seen[name] = len(statements)
        return answer.json

    await counted("browse", api.get("/api/index/browse?path=/big&take=100"))
    await counted("all", api.get("/api/index/all?take=100"))
    await counted("unindexed", api.get("/api/index/unindexed"))
    await counted("search", api.get("/api/index/search?query=file"))
    body = {"file_id": "file-1", "path": "/one"}
    index_id = (await counted("create", api.post("/api/index/create", json=body)))["index_id"]
    await counted("move", move(api, index_id, "/other"))
    await counted("remove", api.delete(f"/api/index/remove/{index_id}"))
    index_id = (await api.post("/api/index/create", json=body)).json["index_id"]
    await counted("remove, and delete", api.delete(f"/api/index/remove/{index_id}?deleteFile=true"))
    await counted("clear", api.delete("/api/index/clear-path?path=/big/2"))
    cleared = await counted("clear, and delete", api.delete("/api/index/clear-path?path=/many&deleteFiles=true"))
    assert cleared["files_deleted"] == count - 1
    assert seen == STATEMENTS


async def test_a_request_that_waited_sees_what_it_waited_for(api: Api, rows: Rows) -> None:
    """Another transaction moves an entry, and deletes another file: neither is undone, doubled or left behind."""
    await add_files(rows, 2)
    await add_indexes(rows, 1, "'/a/'")
    index_id = await rows.fetchval("select id from file_indexes")

    async def blocked() -> int:
        query = "select count(distinct pid) from pg_locks where not granted"
        return int(await rows.fetchval(query))

    async def waited(count: int) -> bool:
        return await blocked() == count or all(task.done() for task in tasks)

    async with rows.transaction():
        await rows.execute("select from files for update")
        await rows.execute("update file_indexes set path = '/moved/'")
        await rows.execute("update files set deleted_at = now(), object_id = null where id = 'file-2'")
        tasks = [
            asyncio.create_task(api.delete("/api/index/clear-path?path=/a&deleteFiles=true")),
            asyncio.create_task(move(api, index_id, "/b")),
            asyncio.create_task(api.post("/api/index/create", json={"file_id": "file-2", "path": "/a"})),
        ]
        await eventually(lambda: waited(3))
    cleared, moved, created = await asyncio.gather(*tasks)
    assert (moved.status, moved.json["old_path"]) == (200, "/moved/")
    assert (cleared.json["removed_count"], created.status) == (0, 404)
    assert await rows.fetchval("select path from file_indexes") == "/b/"
