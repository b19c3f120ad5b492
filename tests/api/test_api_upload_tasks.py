"""What has become of an account's uploads."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from support.api import Api
from support.queries import counting
from support.rows import POOL_ID, Rows, expire, staged_as
from support.storage import staged

from drive.containers import Container
from drive.jobs.worker import Worker
from drive.peers.seed import PLAIN_ID, SUBSCRIBER_ID
from drive.settings import Settings
from drive.uploads.history import _ORDERS, STATUSES
from drive.uploads.service import QUERIES
from drive.uploads.tasks import speed_in_words, time_in_words

CONTENT = b"0123456789"
TASKS = "/api/files/upload/tasks"
STATS = "/api/files/upload/stats"

Serve = Callable[[Container], Awaitable[Api]]


@pytest_asyncio.fixture
async def ended(api: Api, rows: Rows, worker: Worker) -> dict[str, str]:
    """Give the ids of uploads by how they ended."""
    ids = {}
    for name in ("in progress", "completed", "failed", "cancelled", "expired"):
        wrong = {"hash": "ab" * 32} if name == "failed" else {}
        ids[name] = (await api.create(name.encode(), file_name=name, chunk_size=4, **wrong)).json["task_id"]
    await api.send_chunk(ids["in progress"], 2, b"ess")
    for name in ("completed", "failed"):
        await api.send_chunks(
            {"task_id": ids[name], "chunk_size": 4, "chunks_count": -(-len(name) // 4)}, name.encode()
        )
        await api.complete(ids[name])
    await api.cancel(ids["cancelled"])
    await expire(rows, ids["expired"])
    await worker.run_once()
    await api.signed_in_as("subscriber").create(CONTENT, file_name="theirs")
    return ids


async def add_tasks(rows: Rows, count: int, account_id: str = PLAIN_ID) -> None:
    """Add completed uploads, many of which have equal names, sizes and times."""
    await rows.execute(
        """
        insert into upload_tasks (
            id, account_id, status, file_id, object_id, file_name, content_type, size_bytes, chunk_size_bytes,
            chunks_count, pool_id, created_at, updated_at, last_activity_at, expires_at
        )
        select
            left($2, 1) || 't-' || n, $2::uuid, 3, left($2, 1) || 'f-' || n, left($2, 1) || 'o-' || n,
            'name ' || n % 7, 'a/b', n % 5, 10, 1, $3, at, at, at, now()
        from generate_series(1, $1::int) n,
            lateral (select '2026-01-01'::timestamptz + make_interval(hours => n % 11) as at) as moment
        """,
        count,
        account_id,
        POOL_ID,
    )


def by(answer: Any, name: str) -> list[Any]:
    return [it[name] for it in answer.json]


async def test_a_listed_task_says_what_the_originals_says(api: Api, ended: dict[str, str]) -> None:
    answer = await api.get(f"{TASKS}?status=InProgress")
    (task,) = answer.json
    for moment in ("last_activity", "created_at", "updated_at"):
        assert datetime.fromisoformat(task.pop(moment)).tzinfo is not None
    assert task == {
        "task_id": ended["in progress"],
        "file_name": "in progress",
        "file_size": 11,
        "content_type": "application/octet-stream",
        "chunk_size": 4,
        "chunks_count": 3,
        "chunks_uploaded": 1,
        "progress": pytest.approx(100 / 3),
        "status": 1,
        "uploaded_chunks": [2],
        "pool": {"pool_id": POOL_ID, "name": "Local"},
        "bundle": None,
    }


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("InProgress", ["in progress"]),
        ("inprogress", ["in progress"]),
        ("1", ["in progress"]),
        ("Completed", ["completed"]),
        ("3", ["completed"]),
        ("Failed", ["failed"]),
        ("Cancelled", ["cancelled"]),
        ("Expired", ["expired"]),
        ("6", ["expired"]),
        ("Pending", []),
        ("", ["in progress", "completed", "failed", "cancelled", "expired"]),
    ],
)
async def test_tasks_are_listed_by_status(api: Api, ended: dict[str, str], status: str, names: list[str]) -> None:
    answer = await api.get(f"{TASKS}?status={status}")
    assert sorted(by(answer, "file_name")) == sorted(names)
    assert answer.headers["X-Total"] == str(len(names))


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(
    ("order", "field"),
    [
        ("lastActivity", "last_activity"),
        ("filename", "file_name"),
        ("filesize", "file_size"),
        ("created", "created_at"),
        ("updated", "updated_at"),
    ],
)
async def test_pages_of_any_order_make_the_whole(
    api: Api, rows: Rows, order: str, field: str, descending: bool
) -> None:
    await add_tasks(rows, 60)
    await add_tasks(rows, 20, SUBSCRIBER_ID)
    path = f"{TASKS}?sort_by={order}&sortDescending={descending}"
    whole = await api.get(f"{path}&limit=100")
    assert (len(whole.json), whole.headers["X-Total"]) == (60, "60")
    assert by(whole, field) == sorted(by(whole, field), reverse=descending)
    pages = [await api.get(f"{path}&offset={offset}&limit=7") for offset in range(0, 70, 7)]
    assert [it for page in pages for it in page.json] == whole.json
    assert {page.headers["X-Total"] for page in pages} == {"60"}
    assert len((await api.get(path)).json) == 50


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{TASKS}?limit=101", "limit"),
        (f"{TASKS}?limit=0", "limit"),
        (f"{TASKS}?offset=-1", "offset"),
        (f"{TASKS}?status=7", "status"),
        (f"{TASKS}?status=%00", "status"),
        (f"{TASKS}?sortBy=hash", "sortBy"),
        (f"{TASKS}?sortDescending=down", "sortDescending"),
        (f"{TASKS}/recent?limit=101", "limit"),
        (f"{TASKS}/recent?limit=-1", "limit"),
    ],
)
async def test_a_wrong_parameter_is_refused(api: Api, path: str, field: str) -> None:
    answer = await api.get(path)
    assert (answer.status, list(answer.json["errors"])) == (400, [field])


async def test_recent_tasks_are_those_of_the_latest_activity(api: Api, ended: dict[str, str], rows: Rows) -> None:
    await add_tasks(rows, 20)
    await rows.execute(
        "update upload_tasks set last_activity_at = now() + interval '1 h' where id = $1", ended["failed"]
    )
    answer = await api.get(f"{TASKS}/recent")
    assert len(answer.json) == 10
    assert answer.json[0]["task_id"] == ended["failed"]
    assert answer.json[0].keys() == {
        "task_id",
        "file_name",
        "file_size",
        "content_type",
        "progress",
        "status",
        "last_activity",
        "created_at",
    }
    assert by(answer, "last_activity") == sorted(by(answer, "last_activity"), reverse=True)
    progress = {it["file_name"]: it["progress"] for it in answer.json}
    assert (progress["completed"], progress["in progress"]) == (100.0, pytest.approx(100 / 3))
    assert len((await api.get(f"{TASKS}/recent?limit=3")).json) == 3


async def test_statistics_sum_up(api: Api, ended: dict[str, str], rows: Rows) -> None:
    other = (await api.create(b"", file_name="empty")).json["task_id"]
    assert other
    found = (await api.get(STATS)).json
    activities = found.pop("recent_activity")
    assert found == {
        "total_tasks": 6,
        "in_progress_tasks": 2,
        "completed_tasks": 1,
        "failed_tasks": 1,
        "expired_tasks": 1,
        "total_uploaded_bytes": len("completed") + len("ess"),
        "average_progress": pytest.approx((100 / 3 + 100) / 2),
    }
    assert len(activities) == 5
    assert activities[0].keys() == {"task_id", "file_name", "status", "last_activity", "progress"}
    assert [it["last_activity"] for it in activities] == sorted(
        (it["last_activity"] for it in activities), reverse=True
    )


async def test_who_never_uploaded_has_statistics_of_nothing(api: Api) -> None:
    found = (await api.get(STATS)).json
    assert set(found.pop("recent_activity")) == set()
    assert set(found.values()) == {0}
    assert (await api.get(TASKS)).json == (await api.get(f"{TASKS}/recent")).json == []


async def test_details_tell_where_it_goes_and_how_fast(api: Api, rows: Rows) -> None:
    bundle_id = await rows.fetchval(
        "insert into bundles (slug, name, account_id) values ('slug', 'Holidays', $1) returning id", PLAIN_ID
    )
    expired_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    created = await api.create(CONTENT, chunk_size=4, bundle_id=str(bundle_id), expired_at=expired_at.isoformat())
    task_id = created.json["task_id"]
    path = f"{TASKS}/{task_id}/details"
    before = (await api.get(path)).json
    assert (before["estimated_time_remaining"], before["upload_speed"]) == (None, None)
    await api.send_chunk(task_id, 0, CONTENT[:4])
    await rows.execute("update upload_tasks set created_at = last_activity_at - interval '2 s' where id = $1", task_id)
    found = (await api.get(path)).json
    task = found.pop("task")
    assert found == {
        "pool": {"id": POOL_ID, "name": "Local", "description": "Files on this server"},
        "bundle": {"id": str(bundle_id), "name": "Holidays", "description": ""},
        "estimated_time_remaining": "3 seconds",
        "upload_speed": "2 B/s",
    }
    assert datetime.fromisoformat(task.pop("expired_at")) == expired_at
    assert len(task.pop("hash")) == 64
    listed = (await api.get(TASKS)).json[0]
    assert task == listed
    assert task["bundle"] == {"bundle_id": str(bundle_id)}


async def test_details_of_a_completed_task_have_no_time_left(api: Api, ended: dict[str, str], rows: Rows) -> None:
    task_id = ended["completed"]
    await rows.execute("update upload_tasks set created_at = last_activity_at - interval '3 s' where id = $1", task_id)
    found = (await api.get(f"{TASKS}/{task_id}/details")).json
    assert (found["estimated_time_remaining"], found["upload_speed"]) == (None, "3 B/s")
    assert found["task"]["uploaded_chunks"] == [0, 1, 2]


async def test_details_are_for_the_owner(api: Api, ended: dict[str, str]) -> None:
    path = f"{TASKS}/{ended['completed']}/details"
    answer = await api.signed_in_as("subscriber").get(path)
    assert (answer.status, answer.code) == (403, "FORBIDDEN")
    for task_id in ("AAAAAAAAAAAAAAAAAAAAAA", "pool:1", "a%00b", "x" * 5000):
        assert (await api.get(f"{TASKS}/{task_id}/details")).status == 404


async def test_cleaning_up_forgets_what_ended_without_a_file(
    api: Api, ended: dict[str, str], rows: Rows, settings: Settings, worker: Worker
) -> None:
    await api.signed_in_as("subscriber").cancel(
        await rows.fetchval("select id from upload_tasks where account_id = $1", SUBSCRIBER_ID)
    )
    assert (await api.delete(f"{TASKS}/cleanup")).json == {"message": "Cleaned up 3 failed tasks"}
    assert (await api.delete(f"{TASKS}/cleanup")).json == {"message": "Cleaned up 0 failed tasks"}
    assert sorted(by(await api.get(TASKS), "file_name")) == ["completed", "in progress"]
    assert (await api.progress(ended["failed"])).status == 404
    await worker.run_once()
    assert staged(settings) == {await staged_as(rows, ended["in progress"])}
    assert await rows.fetchval("select count(*) from upload_tasks") == 3
    assert (await api.complete(ended["completed"])).status == 200


async def test_nobody_sees_anything_without_signing_in(api: Api) -> None:
    nobody = api.signed_in_as(None)
    for method, path in (
        ("GET", TASKS),
        ("GET", f"{TASKS}/recent"),
        ("GET", f"{TASKS}/x/details"),
        ("GET", STATS),
        ("DELETE", f"{TASKS}/cleanup"),
    ):
        assert (await nobody.request(method, path)).status == 401


async def test_each_asks_the_database_once(settings: Settings, serve_app: Serve, rows: Rows) -> None:
    container = Container(settings=settings)
    database = counting(container)
    api = await serve_app(container)
    await add_tasks(rows, 200)
    await api.get("/api/files/me")
    for method, path in (
        ("GET", TASKS),
        ("GET", f"{TASKS}?limit=100&sortBy=filename&status=3"),
        ("GET", f"{TASKS}/recent"),
        ("GET", f"{TASKS}/1t-1/details"),
        ("GET", STATS),
        ("DELETE", f"{TASKS}/cleanup"),
    ):
        with database.counted() as statements:
            assert (await api.request(method, path)).status == 200
        assert len(statements) == 1


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.own_database
async def test_the_usual_page_is_read_from_an_index(rows: Rows, descending: bool) -> None:
    await add_tasks(rows, 10_000)
    await rows.execute("analyze upload_tasks")
    query = QUERIES["history"].replace("{order}", _ORDERS["lastActivity", descending])
    plan = "\n".join(row[0] for row in await rows.fetch(f"explain {query}", PLAIN_ID, None, 0, 50))
    page = plan[plan.index("upload_tasks_of_account") - 200 :]
    assert "Seq Scan on upload_tasks" not in page
    assert "using upload_tasks_of_account" in plan


def test_every_order_is_total() -> None:
    """Whether a tie is broken shows only on some plans."""
    assert {order.split(", ")[1].removesuffix(" desc") for order in _ORDERS.values()} == {"id"}


def test_statuses_have_the_names_that_clients_know() -> None:
    assert {name for name in STATUSES if not name.isdigit()} == {
        "Pending",
        "InProgress",
        "Paused",
        "Completed",
        "Failed",
        "Cancelled",
        "Expired",
    }


@pytest.mark.parametrize(
    ("bytes_per_s", "words"),
    [
        (0.4, "0 B/s"),
        (1023, "1023 B/s"),
        (1024, "1 KB/s"),
        (1024 * 1024 - 1, "1024 KB/s"),
        (3.25 * 1024**2, "3.2 MB/s"),
    ],
)
def test_speeds_in_words(bytes_per_s: float, words: str) -> None:
    assert speed_in_words(bytes_per_s) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (59, "59 seconds"), (60, "1 minutes"), (3599, "60 minutes"), (5400, "1.5 hours")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words
