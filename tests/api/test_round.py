"""A file's whole life."""

import hashlib

import pytest
from structlog.testing import capture_logs
from support.api import Api

from drive.peers import Peers

CONTENT = bytes(range(256)) * 4096 + b"end"


async def test_an_upload_in_chunks_becomes_a_file_that_can_be_read_renamed_and_deleted(api: Api, peers: Peers) -> None:
    file = await api.upload(CONTENT, chunk_size=100_000, file_name="a name.bin")
    assert file["name"] == "a name.bin"
    assert file["size"] == len(CONTENT)
    assert file["hash"] == hashlib.sha256(CONTENT).hexdigest()

    info = await api.get(f"/api/files/{file['id']}/info")
    assert info.json == file
    whole = await api.get(f"/api/files/{file['id']}.bin")
    assert (whole.status, whole.body) == (200, CONTENT)
    part = await api.get(f"/api/files/{file['id']}", headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, CONTENT[1000:2000])
    head = await api.request("HEAD", f"/api/files/{file['id']}")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(CONTENT)), b"")

    renamed = await api.request("PATCH", f"/api/files/{file['id']}/name", json="other.bin")
    assert renamed.json["name"] == "other.bin"
    listed = await api.get("/api/files/me")
    assert [entry["name"] for entry in listed.json] == ["other.bin"]
    assert listed.headers["X-Total"] == "1"

    deleted = await api.delete(f"/api/files/{file['id']}")
    assert deleted.status == 200
    assert (await api.get(f"/api/files/{file['id']}")).status == 404
    assert (await api.get("/api/files/me")).headers["X-Total"] == "0"


async def test_a_direct_upload_is_a_file_at_once(api: Api) -> None:
    answer = await api.upload_direct(b"hello", "hello.txt", "text/plain")
    assert answer.status == 200, answer
    assert answer.json["mime_type"] == "text/plain"
    assert (await api.get(f"/api/files/{answer.json['id']}")).body == b"hello"


@pytest.mark.parametrize("content", [b"", b"x"])
async def test_tiny_files_are_files(api: Api, content: bytes) -> None:
    file = await api.upload(content)
    assert (await api.get(f"/api/files/{file['id']}")).body == content


async def test_each_endpoint_logs_one_channel_when_it_is_first_called(api: Api, peers: Peers) -> None:
    with capture_logs() as lines:
        await api.upload(CONTENT)
        await api.upload_direct(b"again")
    created = [line for line in lines if line["event"] == "Creating gRPC channel"]
    assert sorted((line["endpoint"], line["service"]) for line in created) == sorted(
        [(peers.pass_url, "AuthService"), (peers.ring_url, "RingService")]
    )
