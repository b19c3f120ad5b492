"""No space is left."""

import errno
import os

import pytest
from structlog.testing import capture_logs
from support.api import Answer, Api
from support.rows import Rows, reserved_bytes
from support.storage import full_disk, objects, staged

from drive.settings import Settings

MIB = 1024 * 1024
CHUNKS = [b"a" * MIB, b"b" * MIB, b"c" * 10]


def is_full(answer: Answer) -> bool:
    return (answer.status, answer.code) == (507, "INSUFFICIENT_STORAGE")


@pytest.mark.parametrize("left_bytes", [MIB, MIB + 1000, 2 * MIB - 1])
async def test_what_was_received_before_is_kept_and_the_upload_goes_on_when_there_is_space(
    api: Api, left_bytes: int
) -> None:
    task_id = (await api.create(b"".join(CHUNKS), chunk_size=MIB)).json["task_id"]
    with full_disk(left_bytes), capture_logs() as lines:
        assert (await api.send_chunk(task_id, 0, CHUNKS[0])).status == 200
        refused = await api.send_chunk(task_id, 1, CHUNKS[1])
        assert is_full(refused), refused
        assert is_full(await api.send_chunk(task_id, 2, CHUNKS[2]))
        assert (await api.resume(task_id)).json["uploaded_chunks"] == [0]
    assert "No space left in the store" in {line["event"] for line in lines}

    for index in (2, 1):
        assert (await api.send_chunk(task_id, index, CHUNKS[index])).body == b""
    file = (await api.complete(task_id)).json
    assert (await api.get(f"/api/files/{file['id']}")).body == b"".join(CHUNKS)


async def test_a_direct_upload_leaves_nothing(api: Api, rows: Rows, settings: Settings) -> None:
    with full_disk(MIB):
        assert is_full(await api.upload_direct(b"x" * 3 * MIB))
    assert await reserved_bytes(rows) == 0
    assert staged(settings) == objects(settings) == set()
    assert (await api.upload_direct(b"x" * 3 * MIB)).status == 200


async def test_completing_waits_for_space_too(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a new name in a folder takes some."""
    task_id = (await api.create(b"x")).json["task_id"]
    await api.send_chunk(task_id, 0, b"x")

    def no_space(_from: str, _to: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", no_space)
        assert is_full(await api.complete(task_id))
    assert (await api.complete(task_id)).status == 200
