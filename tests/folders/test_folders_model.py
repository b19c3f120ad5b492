"""Folders against a model of them: whatever is asked in whatever order, the answers are those of a few sets."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from folders_support import opened
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.rows import connected, wrong_counts

from drive.errors import Code, DriveError
from drive.files.lists import Filter
from drive.folders.paths import normalise
from drive.folders.service import View
from drive.upkeep.folder_counts import FolderCounts

T = TypeVar("T")

POOL_ID = UUID(int=1)
FILES = 5
# Names that sort differently as names and as beginnings of paths, that LIKE would take for patterns, and that are the
# beginning of one another.
FOLDER = st.sampled_from(["a", "a b", "a0", "a%", "_", "A", "é", "文", "\U0001f600", "'", "..."])
PATHS = st.lists(FOLDER, max_size=3).map("/".join)
ALL = View(take=100, order="name", descending=False)


class FoldersMachine(RuleBasedStateMachine):
    """Two accounts with a few files each; `self.entries` is what should be in `file_indexes`."""

    url = ""
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.accounts = [uuid4(), uuid4()]
        self.live: dict[str, UUID] = {}
        self.recycled: set[str] = set()
        self.entries: dict[UUID, tuple[str, str]] = {}  # file, path
        self.run(self.open())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def open(self) -> None:
        container = await self.stack.enter_async_context(opened(self.url))
        self.rows = await self.stack.enter_async_context(connected(self.url))
        self.folders, self.files, self.database = container.folders(), container.files(), container.database()

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    @initialize()
    def add_files(self) -> None:
        """Half of an account's files share one object."""
        for account_id in self.accounts:
            self.run(self._add_files(account_id))

    async def _add_files(self, account_id: UUID) -> None:
        for n in range(FILES):
            file_id, object_id = f"{account_id.hex[:20]}-{n}", f"{account_id.hex[:20]}-{n // 2}"
            await self.rows.execute(
                """
                insert into objects (id, pool_id, account_id, sha256, size_bytes, mime_type)
                values ($1, $2, $3, sha256($1::text::bytea), 1, 'text/plain')
                on conflict (id) do update set reference_count = objects.reference_count + 1
                """,
                object_id,
                POOL_ID,
                account_id,
            )
            await self.rows.execute(
                "insert into files (id, account_id, object_id, pool_id, name, mime_type, size_bytes) "
                "values ($1, $2, $3, $4, $1, 'text/plain', 1)",
                file_id,
                account_id,
                object_id,
                POOL_ID,
            )
            self.live[file_id] = account_id

    def file_of(self, account: int, number: int) -> str:
        return f"{self.accounts[account].hex[:20]}-{number}"

    def shown(self, account_id: UUID) -> dict[UUID, tuple[str, str]]:
        return {
            index_id: (file_id, path)
            for index_id, (file_id, path) in self.entries.items()
            if self.live[file_id] == account_id and file_id not in self.recycled
        }

    def forget(self, file_ids: list[str]) -> None:
        for file_id in file_ids:
            del self.live[file_id]
        self.entries = {index_id: entry for index_id, entry in self.entries.items() if entry[0] in self.live}

    @rule(target=ids, account=st.integers(0, 1), owner=st.integers(0, 1), number=st.integers(0, FILES - 1), path=PATHS)
    def create(self, account: int, owner: int, number: int, path: str) -> UUID:
        """Make an entry; the id of none where that is refused."""
        account_id, file_id, normal = self.accounts[account], self.file_of(owner, number), normalise(path)
        asked = self.folders.create(account_id, file_id, path)
        if self.live.get(file_id) != account_id:
            return self.refused(asked, Code.NOT_FOUND)
        if file_id in self.recycled:
            return self.refused(asked, Code.CONFLICT)
        if (file_id, normal) in self.entries.values():
            return self.refused(asked, Code.VALIDATION_ERROR)
        created = self.run(asked)
        assert (created.file_id, created.path) == (file_id, normal)
        assert created.index_id not in self.entries
        self.entries[created.index_id] = (file_id, normal)
        return created.index_id

    @rule(account=st.integers(0, 1), index_id=ids, path=PATHS)
    def move(self, account: int, index_id: UUID, path: str) -> None:
        account_id, new_path = self.accounts[account], normalise(path)
        asked = self.folders.move(account_id, index_id, path)
        entry = self.shown(account_id).get(index_id)
        if entry is None:
            self.refused(asked, Code.NOT_FOUND)
        elif entry[1] != new_path and (entry[0], new_path) in self.entries.values():
            self.refused(asked, Code.CONFLICT)
        else:
            moved = self.run(asked)
            assert (moved.index_id, moved.file_id, moved.old_path, moved.new_path) == (index_id, *entry, new_path)
            self.entries[index_id] = (entry[0], new_path)

    @rule(account=st.integers(0, 1), index_id=consumes(ids), deletes=st.booleans())
    def remove(self, account: int, index_id: UUID, deletes: bool) -> None:
        account_id = self.accounts[account]
        asked = self.folders.remove(account_id, index_id, delete_file=deletes)
        entry = self.shown(account_id).get(index_id)
        if entry is None:
            self.refused(asked, Code.NOT_FOUND)
            return
        removed = self.run(asked)
        assert (removed.file_id, removed.path, removed.file_data_deleted) == (*entry, deletes)
        del self.entries[index_id]
        if deletes:
            self.forget([entry[0]])

    @rule(account=st.integers(0, 1), path=PATHS, deletes=st.booleans())
    def clear(self, account: int, path: str, deletes: bool) -> None:
        account_id, normal = self.accounts[account], normalise(path)
        gone = {index_id: entry[0] for index_id, entry in self.shown(account_id).items() if entry[1] == normal}
        cleared, deleted = self.run(self.folders.clear(account_id, path, delete_files=deletes))
        assert (cleared.path, cleared.removed_count, cleared.has_more) == (normal, len(gone), False)
        assert sorted(deleted) == (sorted(gone.values()) if deletes else [])
        assert cleared.files_deleted == len(deleted)
        for index_id in gone:
            del self.entries[index_id]
        self.forget(deleted)

    @rule(account=st.integers(0, 1), number=st.integers(0, FILES - 1))
    def recycle_or_restore(self, account: int, number: int) -> None:
        file_id = self.file_of(account, number)
        if file_id in self.live:
            self.recycled ^= {file_id}
            self.run(self.files.recycle(self.accounts[account], file_id, recycled=file_id in self.recycled))

    @rule(account=st.integers(0, 1), number=st.integers(0, FILES - 1), name=st.sampled_from("ab"))
    def rename(self, account: int, number: int, name: str) -> None:
        """Rename a file for a while: as it is called here, so it is sorted."""
        file_id = self.file_of(account, number)
        if file_id in self.live:
            self.run(self.files.rename(self.accounts[account], file_id, name))
            assert self.run(wrong_counts(self.rows)) == []
            self.run(self.files.rename(self.accounts[account], file_id, file_id))

    @rule()
    def fold(self) -> None:
        """Do what the worker does once a minute; nothing that is shown changes."""
        self.run(FolderCounts(self.database).fold({}))
        assert self.run(self.rows.fetchval("select count(*) from folder_counts where not is_folded")) == 0

    @rule(account=st.integers(0, 1), number=st.integers(0, FILES - 1))
    def delete(self, account: int, number: int) -> None:
        file_id = self.file_of(account, number)
        deleted = self.run(self.files.delete_many(self.accounts[account], [file_id]))
        assert deleted == [file_id] * (file_id in self.live)
        self.forget(deleted)

    @rule(account=st.integers(0, 1), path=PATHS)
    def browse(self, account: int, path: str) -> None:
        entries, normal = self.shown(self.accounts[account]), normalise(path)
        browsed = self.run(self.folders.browse(self.accounts[account], path, ALL))
        here = {index_id: entry for index_id, entry in entries.items() if entry[1] == normal}
        below = {entry[1].removeprefix(normal) for entry in entries.values() if entry[1].startswith(normal)} - {""}
        assert browsed.folders == sorted({rest.partition("/")[0] for rest in below})
        assert {index.id: (index.file_id, index.path) for index in browsed.files} == here
        assert [index.file_id for index in browsed.files] == sorted(entry[0] for entry in here.values())
        assert (browsed.path, browsed.total_count, browsed.folders_next) == (normal, len(here), None)

    @invariant()
    def everything_is_there_once(self) -> None:
        for account_id in self.accounts:
            entries = self.shown(account_id)
            everything = self.run(self.folders.everything(account_id, ALL))
            assert {index.id: (index.file_id, index.path) for index in everything.files} == entries
            assert everything.total_count == len(everything.files)
            indexed = {file_id for file_id, _ in self.entries.values()}
            mine = {file_id for file_id, owner in self.live.items() if owner == account_id} - indexed - self.recycled
            files, total = self.run(self.folders.unindexed(account_id, Filter(), offset=0, take=100))
            assert {file.id for file in files} == mine
            assert total == len(files)

    @invariant()
    def no_entry_and_no_object_is_left_behind(self) -> None:
        query = "select count(*) from file_indexes where account_id = any($1)"
        assert self.run(self.rows.fetchval(query, self.accounts)) == len(self.entries)
        assert self.run(wrong_counts(self.rows)) == []

    def refused(self, asked: Coroutine[Any, Any, object], code: Code) -> UUID:
        with pytest.raises(DriveError) as caught:
            self.run(asked)
        assert caught.value.code is code
        return uuid4()


def test_folders_are_what_their_model_is(database_url: str) -> None:
    machine = type("Machine", (FoldersMachine,), {"url": database_url})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
