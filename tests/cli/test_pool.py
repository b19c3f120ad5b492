"""`drive pool`."""

import asyncio
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import msgspec
import pytest
from support import moto
from support.process import Finished, drive, environment
from support.rows import POOL_ID, connected

from drive.containers import Container
from drive.errors import Code, DriveError
from drive.lazy import lifespan
from drive.pools.admin import PoolAdmin
from drive.settings import Settings


async def pool(settings: Settings, *arguments: str) -> Finished:
    return await drive("pool", *arguments, env=environment(settings))


async def listed(settings: Settings) -> dict[str, dict[str, object]]:
    finished = await pool(settings, "list", "--json")
    assert finished.status == 0, finished
    return {one["id"]: one for one in msgspec.json.decode(finished.stdout)}


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("hush-hush\n")
    return file


def s3_values(secret_file: Path, endpoint: str = "s3.test:9000", bucket: str = "files") -> list[str]:
    return ["kind=s3", f"endpoint={endpoint}", f"bucket={bucket}", "secret_id=me", f"secret_key=@{secret_file}"]


async def test_a_pool_is_made_changed_and_listed(settings: Settings) -> None:
    made = await pool(
        settings, "add", "photos", "public_usable=true", "accept_types=image/*,video/mp4", "max_file_size=5000"
    )
    assert made.status == 0, made
    pool_id = made.stdout.strip()
    assert UUID(pool_id)
    assert (await listed(settings))[pool_id]["policy"] == {
        "public_usable": True,
        "accept_types": ["image/*", "video/mp4"],
        "max_file_size": 5000,
    }
    changed = await pool(settings, "edit", pool_id, "max_file_size=", "cost_multiplier=0.5", "expiration=24:00:00")
    assert (changed.status, changed.stdout, changed.stderr) == (0, "", "")
    one = (await listed(settings))[pool_id]
    assert one["policy"] == {"public_usable": True, "accept_types": ["image/*", "video/mp4"]}
    assert (one["cost_multiplier"], one["storage"]) == (0.5, {"kind": "local", "expiration": "24:00:00"})
    lines = (await pool(settings, "list")).stdout.splitlines()
    assert any(line.startswith(pool_id) and "photos" in line for line in lines)


async def test_secrets_are_stored_and_never_shown(settings: Settings, secret_file: Path) -> None:
    made = await pool(settings, "add", "bucket", *s3_values(secret_file))
    assert made.status == 0, made
    for arguments in (["list"], ["list", "--json"]):
        assert "hush" not in (await pool(settings, *arguments)).stdout
    async with connected(settings.database_url) as rows:
        secrets = await rows.fetchval("select storage_secrets from pools where id = $1", UUID(made.stdout.strip()))
    assert secrets == {"secret_id": "me", "secret_key": "hush-hush"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["public_useable=true"], "Did you mean public_usable?"),
        (["public_usable=perhaps"], "public_usable"),
        (["max_file_size=-1"], "0 or more bytes"),
        (["cost_multiplier=-1"], "0 or more"),
        (["cost_multiplier=nan"], "0 or more"),
        (["kind=ftp"], "local or s3"),
        (["kind=s3", "endpoint=https://s3.test", "bucket=B"], "without http://"),
        (["kind=s3", "endpoint=s3.test", "bucket=files"], "secret_key"),
        (["image_proxy=img.test"], "http://"),
        (["expiration=30 days"], "H:MM:SS"),
        (["accept_types=pictures"], "image/png"),
        (["account_id=me"], "account_id"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_made(settings: Settings, values: list[str], said: str) -> None:
    async with lifespan(Container(settings=settings)) as container:
        admin = PoolAdmin(container.database(), container.stores(), container.http_session())
        before = await admin.listed()
        with pytest.raises(DriveError) as raised:
            await admin.add(dict(pair.split("=") for pair in values) | {"name": "wrong"})
        assert raised.value.code is Code.VALIDATION_ERROR
        assert said in raised.value.message
        assert await admin.listed() == before


async def test_all_problems_are_said_at_once(settings: Settings) -> None:
    finished = await pool(settings, "add", "wrong", "kind=ftp", "cost_multiplier=-1")
    assert (finished.status, finished.stdout) == (2, "")
    assert "kind: " in finished.stderr
    assert "cost_multiplier: " in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "x", "secret_key=open"], "seen by others"),
        (["add", "x", "secret_key=@/no/such/file"], "cannot be read"),
        (["add", "x", "public_usable"], "is no KEY=VALUE"),
        (["edit", str(uuid4()), "name=x"], "not found"),
        (["add", "x", "--id", POOL_ID], "already"),
    ],
)
async def test_what_cannot_be_done_exits_with_1(settings: Settings, arguments: list[str], said: str) -> None:
    finished = await pool(settings, *arguments)
    assert (finished.status, finished.stdout) == (1, "")
    assert said in finished.stderr


async def test_a_pool_keeps_its_kind_and_with_files_its_bucket(settings: Settings, secret_file: Path) -> None:
    finished = await pool(settings, "edit", POOL_ID, *s3_values(secret_file))
    assert (finished.status, "Make another pool" in finished.stderr) == (1, True)
    pool_id = (await pool(settings, "add", "bucket", *s3_values(secret_file))).stdout.strip()
    assert (await pool(settings, "edit", pool_id, "bucket=right")).status == 0
    async with connected(settings.database_url) as rows:
        await rows.execute(
            "insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)"
            " values ('one', $1, gen_random_uuid(), sha256('x'), 1, 'text/plain')",
            UUID(pool_id),
        )
    assert (await pool(settings, "edit", pool_id, "bucket=other")).status == 1
    assert (await pool(settings, "edit", pool_id, "endpoint=s3.new.test")).status == 0


async def test_changes_at_once_lose_nothing_of_each_other(settings: Settings) -> None:
    pairs = ["expiration=1:00:00", "max_file_size=7", "accept_types=image/*", "is_hidden=true", "cost_multiplier=2"]
    await asyncio.gather(*(pool(settings, "edit", POOL_ID, pair) for pair in pairs))
    one = (await listed(settings))[POOL_ID]
    assert (one["is_hidden"], one["cost_multiplier"]) == (True, 2.0)
    assert {"max_file_size", "accept_types"} <= set(cast("dict[str, object]", one["policy"]))
    assert cast("dict[str, object]", one["storage"])["expiration"] == "1:00:00"


async def test_check_tries_each_store_and_leaves_nothing(settings: Settings, secret_file: Path) -> None:
    with moto.running() as s3:
        for bucket in (await s3.new_bucket(), "no-such-bucket"):
            await pool(settings, "add", bucket, *s3_values(secret_file, s3.endpoint, bucket), "enable_signed=true")
        ids = {str(one["name"]): str(one["id"]) for one in (await listed(settings)).values()}
        finished = await pool(settings, "check")
    assert finished.status == 1
    lines = finished.stdout.splitlines()
    failed = [line for line in lines if "failed" in line]
    assert [line.split()[0] for line in failed] == [ids["no-such-bucket"]]
    assert "NoSuchBucket" in failed[0]
    assert len([line for line in lines if "in order" in line]) == len(ids) - 1
    assert not [one for one in settings.storage_path.rglob("*") if one.is_file()]
    finished = await pool(settings, "check", POOL_ID)
    assert finished.status == 0, finished
