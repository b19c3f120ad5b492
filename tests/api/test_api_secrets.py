"""What must be in no answer and in no line of the log."""

from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from structlog.typing import EventDict
from support.api import Answer, Api
from support.rows import Rows, add_pool
from support.storage import object_file
from support.waiting import eventually

from drive.peers import TOKENS, Peers
from drive.peers.seed import EXPIRED
from drive.settings import Settings

STORAGE_SECRET = "hunter2-storage-secret"
SMUGGLED_SECRET = "hunter2-in-the-wrong-column"
STORAGE = {"kind": "local", "bucket": "shown", "secret_id": SMUGGLED_SECRET, "secret_key": SMUGGLED_SECRET}


class Recording(Api):
    """An API that remembers all that was answered."""

    answers: list[Answer]

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        answer = await super().request(method, path, **options)
        self.answers.append(answer)
        return answer

    def signed_in_as(self, account: str | None) -> "Recording":
        other = Recording(self.session, self.url, TOKENS[account] if account else None)
        other.answers = self.answers
        return other


@pytest_asyncio.fixture
async def recorded(api: Api) -> Recording:
    recording = Recording(api.session, api.url, api.token)
    recording.answers = []
    return recording


@pytest_asyncio.fixture
async def pool_id(rows: Rows) -> str:
    """Add a pool with secrets, one of them where none belongs."""
    added = await add_pool(rows, allow_anonymous=False)
    await rows.execute(
        "update pools set storage_secrets = $2, storage_config = $3 where id = $1",
        added,
        {"secret_key": STORAGE_SECRET},
        STORAGE,
    )
    return added


async def whatever_can_be_asked(api: Recording, pool_id: str) -> Any:
    """Use every route, rightly and wrongly, and return a file."""
    file = await api.upload(b"content", pool_id=pool_id)
    direct = (await api.upload_direct(b"direct", poolId=pool_id)).json
    begun = (await api.create(b"other", pool_id=pool_id)).json["task_id"]
    for reader in (api, api.signed_in_as("subscriber"), api.signed_in_as("admin"), api.signed_in_as(None)):
        for path in ("/api/pools", "/api/files/me", "/api/billing/quota", "/api/billing/usage", "/health"):
            await reader.get(path)
        for path in ("", "/info"):
            await reader.get(f"/api/files/{file['id']}{path}")
        await reader.get("/api/files/me", params={"tk": EXPIRED})
        await reader.create(b"content", pool_id=pool_id, encrypt_password="hunter2-password")
        await reader.progress(begun)
        await reader.send_chunk(begun, 0, b"too long by far")
        await reader.request("PATCH", f"/api/files/{direct['id']}/name", json="renamed")
        await reader.delete(f"/api/files/{direct['id']}")
    await api.cancel(begun)
    return file


def texts_of(answers: list[Answer], lines: list[EventDict]) -> list[str]:
    """Return everything that was answered or logged, tracebacks included."""
    told = [f"{it.status} {it.headers} {it.body!r}" for it in answers]
    return told + [f"{line} {line.get('exc_info')}" for line in lines]


async def test_secrets_and_places_stay_inside(
    recorded: Recording, pool_id: str, settings: Settings, rows: Rows, peers: Peers
) -> None:
    with capture_logs() as lines:
        file = await whatever_can_be_asked(recorded, pool_id)
        stored = object_file(settings, file["storage_id"])
        stored.unlink()
        assert (await recorded.get(f"/api/files/{file['id']}")).status == 404
        stored.parent.rmdir()
        stored.parent.write_text("in the way")
        assert (await recorded.get(f"/api/files/{file['id']}")).status == 500
        await peers.stop()
        assert (await recorded.signed_in_as("subscriber").create(b"x")).status == 503
        await eventually(lambda: {"Packet dropped", "gRPC call failed"} & {line["event"] for line in lines})
        await rows.execute("alter table files rename to set_aside")
        try:
            assert (await recorded.get("/api/files/me")).status == 500
        finally:
            await rows.execute("alter table set_aside rename to files")
    answered = texts_of(recorded.answers, [])
    assert any('"bucket":"shown"' in text for text in answered)
    secret = [STORAGE_SECRET, SMUGGLED_SECRET, "hunter2", *TOKENS.values(), EXPIRED, settings.database_url]
    for word in secret:
        assert not [text for text in texts_of(recorded.answers, lines) if word in text]
    for inside in (
        str(settings.storage_path),
        settings.redis_url,
        "Traceback",
        "asyncpg",
        "PostgresError",
        "set_aside",
    ):
        assert not [text for text in answered if inside in text]


def test_settings_do_not_show_addresses_that_can_carry_passwords(settings: Settings) -> None:
    assert settings.database_url not in repr(settings)
    assert settings.redis_url not in repr(settings)


@pytest.mark.parametrize("path", ["/api/files/me?tk={token}", "/api/nothing?tk={token}", "/api/files/x?tk={token}"])
async def test_a_token_in_the_query_is_not_repeated(api: Api, path: str) -> None:
    """Problem details name the path that was asked for, without its query."""
    for token in (TOKENS["plain"], EXPIRED):
        answer = await api.signed_in_as(None).get(path.format(token=token))
        assert token not in answer.body.decode()
