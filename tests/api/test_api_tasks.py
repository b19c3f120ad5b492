"""Tasks that are absent, somebody else's or over, and ids that are none."""

from collections.abc import Awaitable, Callable

import pytest
from support.api import Answer, Api
from support.rows import Rows, expire

from drive.jobs.worker import Worker

CONTENT = b"0123456789"

ACTIONS: dict[str, Callable[[Api, str], Awaitable[Answer]]] = {
    "chunk": lambda api, task_id: api.send_chunk(task_id, 0, b"0123"),
    "complete": Api.complete,
    "progress": Api.progress,
    "resume": Api.resume,
    "cancel": Api.cancel,
}
FILE_ACTIONS: dict[str, Callable[[Api, str], Awaitable[Answer]]] = {
    "download": lambda api, file_id: api.get(f"/api/files/{file_id}"),
    "head": lambda api, file_id: api.request("HEAD", f"/api/files/{file_id}"),
    "info": lambda api, file_id: api.get(f"/api/files/{file_id}/info"),
    "rename": lambda api, file_id: api.request("PATCH", f"/api/files/{file_id}/name", json="name"),
    "delete": lambda api, file_id: api.delete(f"/api/files/{file_id}"),
}
ABSENT_IDS = {
    "one of the right form": "AAAAAAAAAAAAAAAAAAAAAA",
    "a key of the cache": "pool:00000000-0000-0000-0000-000000000001",
    "another key": "tier:11111111-1111-4111-8111-111111111111",
    "too long by one": "x" * 33,
    "very long": "x" * 5000,
    "with a slash": "a%2Fb",
    "of another folder": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "with a NUL": "a%00b",
    "only a NUL": "%00",
    "no UTF-8": "%ff%fe",
    "with a line break": "a%0d%0aX-Evil:%201",
    "with a mark of direction": "%E2%80%AEabc",
    "SQL": "'%20or%20'1'='1",
    "a pattern": "%25",
    "full-width letters": "%EF%BC%A1",
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_task_that_is_not_there_is_not_found(api: Api, subtests: pytest.Subtests, action: str) -> None:
    for name, task_id in ABSENT_IDS.items():
        with subtests.test(name):
            answer = await ACTIONS[action](api, task_id)
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), answer


@pytest.mark.parametrize("action", FILE_ACTIONS)
async def test_a_file_that_is_not_there_is_not_found(api: Api, subtests: pytest.Subtests, action: str) -> None:
    for name, file_id in ABSENT_IDS.items():
        with subtests.test(name):
            answer = await FILE_ACTIONS[action](api, file_id)
            assert answer.status == 404, answer


async def test_another_accounts_task_is_forbidden_and_stays_as_it_is(api: Api, subtests: pytest.Subtests) -> None:
    task_id = (await api.create(CONTENT, chunk_size=4)).json["task_id"]
    before = (await api.progress(task_id)).json
    for name, action in ACTIONS.items():
        with subtests.test(name):
            answer = await action(api.signed_in_as("subscriber"), task_id)
            assert (answer.status, answer.code) == (403, "FORBIDDEN")
            assert "file.bin" not in answer.body.decode()
    assert (await api.progress(task_id)).json == before


async def test_another_accounts_file_cannot_be_changed(api: Api, subtests: pytest.Subtests) -> None:
    file = await api.upload(CONTENT)
    for name in ("rename", "delete"):
        with subtests.test(name):
            answer = await FILE_ACTIONS[name](api.signed_in_as("subscriber"), file["id"])
            assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert (await api.get(f"/api/files/{file['id']}/info")).json == file


async def completed(api: Api, _rows: Rows, _worker: Worker) -> str:
    task = (await api.create(CONTENT, chunk_size=4)).json
    await api.send_chunks(task, CONTENT)
    assert (await api.complete(task["task_id"])).status == 200
    return str(task["task_id"])


async def cancelled(api: Api, _rows: Rows, _worker: Worker) -> str:
    task_id = str((await api.create(CONTENT, chunk_size=4)).json["task_id"])
    assert (await api.cancel(task_id)).json == {"message": "Upload task cancelled"}
    return task_id


async def failed(api: Api, _rows: Rows, _worker: Worker) -> str:
    task = (await api.create(CONTENT, chunk_size=4, hash="ab" * 32)).json
    await api.send_chunks(task, CONTENT)
    assert (await api.complete(task["task_id"])).status == 400
    return str(task["task_id"])


async def expired(api: Api, rows: Rows, worker: Worker) -> str:
    task_id = str((await api.create(CONTENT, chunk_size=4)).json["task_id"])
    await expire(rows, task_id)
    await worker.run_once()
    return task_id


@pytest.mark.parametrize(
    ("end", "status", "complete"), [(completed, 3, 200), (cancelled, 5, 409), (failed, 4, 409), (expired, 6, 409)]
)
async def test_a_task_that_is_over_can_be_looked_at_but_not_continued(
    api: Api,
    rows: Rows,
    worker: Worker,
    subtests: pytest.Subtests,
    end: Callable[[Api, Rows, Worker], Awaitable[str]],
    status: int,
    complete: int,
) -> None:
    """Completing again is the exception: whoever missed the answer gets the same file."""
    task_id = await end(api, rows, worker)
    expected = {"chunk": 409, "complete": complete, "progress": 200, "resume": 200, "cancel": 409}
    for name, action in ACTIONS.items():
        with subtests.test(name):
            answer = await action(api, task_id)
            assert answer.status == expected[name], answer
            assert answer.code == (None if answer.status == 200 else "CONFLICT")
    progress = (await api.progress(task_id)).json
    assert progress["status"] == status
    assert progress["uploaded_chunks"] == ([0, 1, 2] if status == 3 else [])


async def test_progress_tells_what_has_arrived(api: Api) -> None:
    task_id = (await api.create(CONTENT, chunk_size=4, content_type="text/plain")).json["task_id"]
    await api.send_chunk(task_id, 2, b"89")
    progress = await api.progress(task_id)
    assert progress.json | {"last_activity": ""} == {
        "task_id": task_id,
        "file_name": "file.bin",
        "file_size": 10,
        "content_type": "text/plain",
        "chunk_size": 4,
        "chunks_count": 3,
        "chunks_uploaded": 1,
        "progress": pytest.approx(100 / 3),
        "status": 1,
        "last_activity": "",
        "uploaded_chunks": [2],
    }
    assert (await api.resume(task_id)).json == progress.json
