"""The machine's frame: how it asks, what it compares, and what must be so after each step."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from drive.errors import Code
from support.api import Answer, Api
from support.model.running import Running
from support.model.values import OWNERS, QUOTA_MIB, Bundle, File, Upload
from support.model.world import sort_key
from support.rows import wrong_counts

T = TypeVar("T")

ACCOUNT = st.sampled_from(OWNERS)
INDEX = st.integers(0, 63)
"""Chooses one of those that there are."""
STRANGER = st.sampled_from(["other", "other", "nobody"])
NAME = st.sampled_from(["a", "aa", "b.txt", "B", "ba", "c%", "é", "_"])
PATH = st.lists(st.sampled_from(["a", "a b", "a0", "é"]), max_size=2).map(lambda names: "/".join(["", *names, ""]))
PART = st.sampled_from([None, None, None, None, None, None, "a", "A", "b", "%", "É"])
ORDER = st.sampled_from(["date", "name", "size"])
PAGE = st.sampled_from([(0, 100), (0, 100), (0, 100), (0, 1), (1, 2), (3, 100)])
VISIBILITY = st.sampled_from(["public", "public", "private", "realm"])
UNKNOWN = "unknown-id"


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a list is asked for."""

    page: tuple[int, int]
    order: str
    descending: bool
    part: str | None


VIEW = st.builds(View, PAGE, ORDER, st.booleans(), PART)

some_file = precondition(lambda self: self.world.files)
some_upload = precondition(lambda self: any(upload.id for upload in self.world.uploads))
some_bundle = precondition(lambda self: any(not bundle.is_deleted for bundle in self.world.bundles))


class Machine(RuleBasedStateMachine):
    """Asks the service and the model the same."""

    runner: ClassVar[asyncio.Runner]
    running: ClassVar[Running]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.run(self.running.begin())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    # Asking

    def signed_in(self, account: str | None) -> Api:
        return self.running.api.signed_in_as(account)

    def told(self, asked: Coroutine[Any, Any, Answer], code: Code | None, *, status: int = 200) -> Answer:
        """Ask, and see that it is refused as the model says, or answered with the status."""
        answer = self.run(asked)
        expected = status if code is None else code.value.http
        same(answer.status, expected, "status of", answer, "which is", code)
        if code is not None and answer.body:
            same(answer.code, code.name, "code of", answer)
        return answer

    def ask(
        self,
        account: str | None,
        method: str,
        path: str,
        code: Code | None = None,
        *,
        status: int = 200,
        **options: Any,
    ) -> Answer:
        """Send a request as somebody, and see that its answer is what the model says."""
        note(f"{account}: {method} {path} {options}: {'answered' if code is None else code.name}")
        return self.told(self.signed_in(account).request(method, path, **options), code, status=status)

    def owned(
        self,
        owner: str,
        stranger: str,
        method: str,
        path: str,
        code: Code | None = None,
        *,
        others: Code = Code.NOT_FOUND,
        **options: Any,
    ) -> Answer:
        """Send a request as somebody whom it is refused, and then as the owner."""
        if stranger == "nobody":
            self.ask(None, method, path, Code.UNAUTHORIZED, **_without_status(options))
        else:
            self.ask(other_than(owner), method, path, others, **_without_status(options))
        return self.ask(owner, method, path, code, **options)

    # Choosing

    def file(self, number: int) -> File:
        return pick(self.world.files, number)

    def live_bundle(self, number: int) -> Bundle:
        return pick([bundle for bundle in self.world.bundles if not bundle.is_deleted], number)

    def upload(self, number: int) -> Upload:
        """Return one that its client knows: mostly one under way, in chunks or by tus."""
        return pick_open([upload for upload in self.world.uploads if upload.id], number)

    # Comparing

    def is_file(self, shown: Any, file: File) -> None:
        """See that a file is shown as the model has it, and that those with the same bytes share an object."""
        same({name: shown[name] for name in file.shown}, file.shown, "file")
        same(shown["pool"]["id"], file.pool.id, "pool of", shown)
        key, objects = file.object_key, self.world.objects
        if key in objects:
            same(shown["storage_id"], objects[key], "object of", shown)
        else:
            assert shown["storage_id"] not in objects.values(), f"somebody else's object: {shown}"
            objects[key] = shown["storage_id"]

    def are_files(self, shown: Sequence[Any], files: Sequence[File]) -> None:
        same([one["name"] for one in shown], [file.name for file in files], "names of files")
        for one, file in zip(shown, files, strict=True):
            self.is_file(one, file)

    # What must be so after each step

    @invariant()
    def files_and_usage_are_those_of_the_model(self) -> None:
        self.running.steps += 1
        for account in OWNERS:
            answer = self.ask(account, "GET", "/api/files/me?take=100&order=date&orderDesc=false")
            files = self.world.files_of(account)
            same(answer.headers["X-Total"], str(len(files)), "total")
            self.are_files(answer.json, files)
            self._usage_is_right(account)

    def _usage_is_right(self, account: str) -> None:
        usage = self.ask(account, "GET", "/api/billing/usage").json
        files = self.world.files_of(account)
        costs = {
            pool.id: self.world.stored_mib(account, pool) for pool in self.world.pools if pool.owner in {None, account}
        }
        same({pool["pool_id"]: pool["cost"] for pool in usage["pool_usages"]}, costs, "costs")
        for pool in usage["pool_usages"]:
            sizes = [len(file.content) for file in files if file.pool.id == pool["pool_id"]]
            same((pool["file_count"], pool["usage_bytes"]), (len(sizes), sum(sizes)), "usage in", pool)
        same(usage["total_file_count"], len(files), "files")
        same(usage["total_usage_bytes"], sum(len(file.content) for file in files), "bytes")
        same(usage["used_quota"], sum(costs.values()), "used quota")
        same(usage["total_quota"], QUOTA_MIB[account], "quota")

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """The worker has done all, and the disk and the tables hold what the model needs."""
        self.run(self._nothing_is_left_behind())

    async def _nothing_is_left_behind(self) -> None:
        await self.running.work()
        rows, world = self.running.rows, self.world
        row = await rows.fetchrow(_COUNTS)
        assert row is not None
        open_ = [upload for upload in world.uploads if upload.is_open]
        expected = {
            "jobs": 0,
            "entries": len(world.entries),
            "reserved": sum(upload.size for upload in open_),
            "uploads": len(world.uploads),
            "chunks": sum(len(upload.chunks_there) for upload in open_),
            "objects": sorted(world.objects.values()),
        }
        same({name: row[name] for name in expected}, expected, "tables")
        same(await wrong_counts(rows), [], "counts of references")
        same(self.running.stored("objects"), set(world.objects.values()), "objects")
        staged = self.running.stored("staging")
        assert staged <= set(row["staging"]), f"staged without an upload: {staged}"


_COUNTS = """
    select
        (select count(*) from jobs) as jobs,
        (select count(*) from file_indexes) as entries,
        (select coalesce(sum(size_bytes), 0)::bigint from upload_tasks where status = 1) as reserved,
        (select count(*) from upload_tasks) as uploads,
        (select count(*) from upload_chunks) as chunks,
        (select coalesce(array_agg(id order by id), '{}') from objects) as objects,
        (select coalesce(array_agg(object_id), '{}') from upload_tasks where status = 1) as staging
"""


def same(actual: object, expected: object, *about: object) -> None:
    """Fail where the service says something else than the model."""
    assert actual == expected, f"{' '.join(map(str, about))}: {actual!r} is not {expected!r}, as the model has it"


def other_than(account: str) -> str:
    return next(one for one in OWNERS if one != account)


def pick(items: Sequence[T], number: int) -> T:
    """Return one of them, the last for 0."""
    return items[-1 - number % len(items)]


def pick_open(uploads: Sequence[Upload], number: int) -> Upload:
    """Return one of them, three times of four one that is under way."""
    open_ = [upload for upload in uploads if upload.is_open]
    return pick(open_, number) if open_ and number % 4 else pick(uploads, number // 4)


def query_of(view: View, **more: str) -> str:
    """Return the query that asks for a view."""
    offset, take = view.page
    named = {"offset": offset, "take": take, "order": view.order, "orderDesc": str(view.descending).lower()}
    part = {} if view.part is None else {"query": view.part}
    return urlencode(named | part | more)


def page_of(items: Iterable[T], view: View, file_of: Callable[[T], File]) -> list[T]:
    """Return the part of a list that a view shows; what is in equal places keeps its order."""
    offset, take = view.page
    in_order = sorted(items, key=lambda one: sort_key(view.order, file_of(one)), reverse=view.descending)
    return in_order[offset : offset + take]


def _without_status(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "status"}
