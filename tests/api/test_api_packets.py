"""Packets to the account's devices."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from support.api import Api
from support.waiting import eventually

from drive.containers import Container
from drive.peers import Peers
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings

CONTENT = b"0123456789"

Serve = Callable[[Container], Awaitable[Api]]


def told(peers: Peers, user_id: str = PLAIN_ID) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and the content of each packet."""
    return [(it.type, msgspec.json.decode(it.data)) for it in peers.world.packets if it.user_id == user_id]


async def all_told(peers: Peers, last: str) -> list[tuple[str, dict[str, Any]]]:
    """Wait for a packet of this type; packets come in order."""
    await eventually(lambda: last in {kind for kind, _ in told(peers)})
    return told(peers)


@pytest.mark.parametrize(
    ("min_bytes", "interval_s", "progress"),
    [(10, 0.0, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]), (10, 3600.0, [10]), (11, 0.0, [])],
    ids=["each chunk", "throttled", "too small"],
)
async def test_large_uploads_tell_their_progress_now_and_then(
    settings: Settings, serve_app: Serve, peers: Peers, min_bytes: int, interval_s: float, progress: list[int]
) -> None:
    changed = replace(settings, progress_min_bytes=min_bytes, progress_interval_s=interval_s)
    api = await serve_app(Container(settings=changed))
    await api.upload(CONTENT, chunk_size=1)
    packets = await all_told(peers, "task.completed")
    kinds = [kind for kind, _ in packets]
    assert kinds == ["task.created", *["upload.progress"] * len(progress), "upload.completed", "task.completed"]
    assert [data["progress"] for kind, data in packets if kind == "upload.progress"] == progress


async def test_packets_say_what_the_originals_say(settings: Settings, serve_app: Serve, peers: Peers) -> None:
    api = await serve_app(Container(settings=replace(settings, progress_min_bytes=1)))
    task = (await api.create(CONTENT, chunk_size=4)).json
    await api.send_chunks(task, CONTENT)
    file = (await api.complete(task["task_id"])).json
    (_, created), (_, progress), (_, completed), (_, ended) = await all_told(peers, "task.completed")
    moments = [created.pop("created_at"), progress.pop("last_activity")]
    moments += [completed.pop("completed_at"), ended.pop("completed_at")]
    assert all(moment.endswith("Z") for moment in moments)
    assert created == {"task_id": task["task_id"], "name": "File Upload", "type": "FileUpload"}
    assert progress == {
        "task_id": task["task_id"],
        "file_name": "file.bin",
        "file_size": 10,
        "chunks_uploaded": 1,
        "chunks_total": 3,
        "progress": pytest.approx(100 / 3),
        "status": "InProgress",
    }
    assert completed == {
        "task_id": task["task_id"],
        "file_id": file["id"],
        "file_name": "file.bin",
        "file_size": 10,
    }
    assert ended == {
        "task_id": task["task_id"],
        "name": "File Upload",
        "type": "FileUpload",
        "results": {
            "FileId": file["id"],
            "FileName": "file.bin",
            "FileInfo": file,
            "FileSize": 10,
            "MimeType": file["mime_type"],
            "HasCompression": False,
            "HasThumbnail": False,
        },
    }


async def test_the_end_of_a_large_file_is_a_notification_too(
    settings: Settings, serve_app: Serve, peers: Peers
) -> None:
    api = await serve_app(Container(settings=replace(settings, progress_min_bytes=10)))
    await api.upload(CONTENT[:9])
    await api.upload(CONTENT, file_name="large.bin")
    await eventually(lambda: peers.world.notifications)
    (only,) = peers.world.notifications
    assert (only.user_id, only.topic, only.is_savable) == (PLAIN_ID, "drive.tasks.upload", True)
    assert (only.title, only.subtitle) == ("File Processing Complete", "large.bin")


async def test_a_failure_is_told_once_and_a_cancel_not_at_all(api: Api, peers: Peers) -> None:
    cancelled = (await api.create(CONTENT)).json["task_id"]
    await api.cancel(cancelled)
    task = (await api.create(CONTENT, hash="ab" * 32)).json
    await api.send_chunks(task, CONTENT)
    assert (await api.complete(task["task_id"])).status == 400
    assert (await api.complete(task["task_id"])).status == 409
    await api.upload(b"a last one")
    packets = await all_told(peers, "task.completed")
    failed = [data for kind, data in packets if kind == "upload.failed"]
    assert [data["task_id"] for data in failed] == [task["task_id"]]
    assert "SHA-256" in failed[0]["error_message"]
    (notification,) = peers.world.notifications
    assert (notification.title, notification.subtitle) == ("Upload Failed", "file.bin")
    assert notification.body == failed[0]["error_message"]


async def test_packets_go_to_the_account_alone(api: Api, peers: Peers) -> None:
    await api.upload(CONTENT)
    await all_told(peers, "upload.completed")
    assert told(peers, SUBSCRIBER_ID) == []
    assert {packet.user_id for packet in peers.world.packets} == {PLAIN_ID}


async def test_the_last_packets_leave_before_the_service_does(settings: Settings, peers: Peers) -> None:
    async with Api.serving(Container(settings=settings)) as api:
        await api.upload(CONTENT)
    assert [kind for kind, _ in told(peers)] == ["task.created", "upload.completed", "task.completed"]
