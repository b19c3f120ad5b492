"""Files that are there."""

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from drive.errors import Code
from drive.peers.seed import REALM_ID
from support.model.machine import (
    ACCOUNT,
    INDEX,
    NAME,
    STRANGER,
    UNKNOWN,
    VIEW,
    VISIBILITY,
    Machine,
    View,
    other_than,
    page_of,
    query_of,
    same,
    some_file,
)
from support.model.values import MEMBERS, PAST, READERS, File

READER = st.sampled_from(READERS)
PASSCODE = st.sampled_from([None, "right", "right", "wrong"])
SELDOM = st.sampled_from([False, False, False, True])
RECYCLED = st.sampled_from([False, False, True])
META = st.sampled_from([{}, {"a": 1}, {"a": {"b": [None, True, "é"]}}, {"x": -1.5}])


class FileRules(Machine):
    """Reads, changes, recycles and deletes files."""

    def change(self, file: File, stranger: str, method: str, what: str, code: Code | None = None, **body: Any) -> Any:
        """Ask for a change as a stranger and as the owner, and return the file as it is shown then."""
        return self.owned(file.owner, stranger, method, f"/api/files/{file.id}{what}", code, **body).json

    @some_file
    @rule(number=INDEX, stranger=STRANGER, name=NAME)
    def rename(self, number: int, stranger: str, name: str) -> None:
        file = self.file(number)
        shown = self.change(file, stranger, "PATCH", "/name", json=name)
        file.name = name
        self.is_file(shown, file)

    @some_file
    @rule(number=INDEX, stranger=STRANGER, marks=st.none() | st.lists(st.integers(0, 12), max_size=4))
    def mark(self, number: int, stranger: str, marks: list[int] | None) -> None:
        file = self.file(number)
        shown = self.change(file, stranger, "PUT", "/marks", json={"sensitive_marks": marks})
        file.sensitive_marks = None if marks is None else sorted(set(marks))
        self.is_file(shown, file)

    @some_file
    @rule(number=INDEX, stranger=STRANGER, meta=META)
    def describe(self, number: int, stranger: str, meta: dict[str, Any]) -> None:
        file = self.file(number)
        shown = self.change(file, stranger, "PUT", "/meta", json=meta)
        file.user_meta = meta
        self.is_file(shown, file)

    @some_file
    @rule(number=INDEX, stranger=STRANGER, visibility=VISIBILITY)
    def permit(self, number: int, stranger: str, visibility: str) -> None:
        """Only members share with their realm."""
        file = self.file(number)
        body = {"visibility": visibility, "realm_id": REALM_ID if visibility == "realm" else None}
        code = Code.NOT_FOUND if visibility == "realm" and file.owner not in MEMBERS else None
        shown = self.change(file, stranger, "PUT", "/permission", code, json=body)
        if code is None:
            file.visibility = visibility
            self.is_file(shown, file)

    @some_file
    @rule(number=INDEX, stranger=STRANGER, recycled=st.booleans())
    def recycle(self, number: int, stranger: str, recycled: bool) -> None:
        """Put into the bin, or take out of it; either may be repeated."""
        file = self.file(number)
        shown = self.change(file, stranger, "POST" if recycled else "DELETE", "/recycle")
        file.is_recycled = recycled
        self.is_file(shown, file)

    @some_file
    @rule(number=INDEX, stranger=STRANGER, together=st.sampled_from([1, 1, 3]))
    def delete(self, number: int, stranger: str, together: int) -> None:
        """Once, or several times at once, of which one does it."""
        file = self.file(number)
        path = f"/api/files/{file.id}"
        refused = Code.UNAUTHORIZED if stranger == "nobody" else Code.NOT_FOUND
        self.ask(None if stranger == "nobody" else other_than(file.owner), "DELETE", path, refused)
        owner = self.signed_in(file.owner)

        async def deleted() -> list[int]:
            return [answer.status for answer in await asyncio.gather(*(owner.delete(path) for _ in range(together)))]

        same(sorted(self.run(deleted())), [200, *[404] * (together - 1)], "deletions")
        self.world.delete([file])
        self.ask(file.owner, "DELETE", path, Code.NOT_FOUND)

    @some_file
    @rule(account=ACCOUNT, numbers=st.lists(INDEX, max_size=2))
    def delete_some(self, account: str, numbers: list[int]) -> None:
        """Of those that are named, some twice and one that nobody has, only the account's go."""
        chosen = {file.id: file for number in numbers if (file := self.file(number))}
        own = [file for file in chosen.values() if file.owner == account]
        ids = [*chosen, *chosen, UNKNOWN, "no id!"]
        answer = self.ask(account, "POST", "/api/files/batches/delete", json={"file_ids": ids})
        same(answer.json, {"count": len(own)}, "deleted")
        self.world.delete(own)

    @rule(account=ACCOUNT)
    def empty_own_bin(self, account: str) -> None:
        answer = self.ask(account, "DELETE", "/api/files/me/recycle")
        same(answer.json, {"count": self.world.delete(self.world.files_of(account, recycled=True))}, "deleted")

    @rule(account=st.sampled_from(["plain", "subscriber", "admin"]), pool=st.sampled_from([None, 0, 1, 2]))
    def empty_bins(self, account: str, pool: int | None) -> None:
        """All of them, or those of a pool: its owner may, and superusers."""
        chosen = None if pool is None else self.world.pools[pool]
        path = "/api/files/recycle" if chosen is None else f"/api/pools/{chosen.id}/recycle"
        code: Code | None = Code.FORBIDDEN
        if account == "admin" or (chosen and chosen.owner == account):
            code = None
        elif chosen and chosen.owner is not None:
            code = Code.NOT_FOUND
        answer = self.ask(account, "DELETE", path, code)
        if code is None:
            gone = [file for file in self.world.files if file.is_recycled and chosen in {None, file.pool}]
            same(answer.json, {"count": self.world.delete(gone)}, "deleted")

    @some_file
    @rule(number=INDEX, is_due=SELDOM)
    def let_end_come(self, number: int, is_due: bool) -> None:
        """Its end has come; it goes when the worker comes along."""
        file = self.file(number)
        query = "update files set expired_at = $2::text::timestamptz where id = $1"
        self.run(self.running.rows.execute(query, file.id, PAST))
        file.expired_at = PAST
        if is_due:
            self.run(self.running.do("expire"))
            self.world.delete([file for file in self.world.files if file.has_expired])

    @some_file
    @rule(number=INDEX, passcode=PASSCODE, what=st.sampled_from(["", ".txt", "/info", "/references"]))
    def read(self, number: int, passcode: str | None, what: str) -> None:
        """Whoever may read a file gets its bytes and its details, and nobody else does."""
        file = self.file(number)
        for reader in READERS:
            self._read(file, reader, given_for(file, passcode), what)

    def _read(self, file: File, reader: str | None, given: str | None, what: str) -> None:
        code = self.world.reading(file, reader, given)
        headers = {} if given is None else {"X-Passcode": given}
        answer = self.ask(reader, "GET", f"/api/files/{file.id}{what}", code, headers=headers)
        if code is not None:
            return
        if what == "/info":
            self.is_file(answer.json, file)
        elif what == "/references":
            same((answer.json, answer.headers["X-Total"]), ([], "0"), "references")
        else:
            same(answer.body, file.content, "bytes of", file.id)
            same(answer.headers["Content-Type"], file.mime_type, "type")

    @rule(reader=READER, what=st.sampled_from(["", "/info"]))
    def read_none(self, reader: str | None, what: str) -> None:
        self.ask(reader, "GET", f"/api/files/{UNKNOWN}{what}", Code.NOT_FOUND)

    @rule(account=ACCOUNT, recycled=RECYCLED, pool=st.sampled_from([None, None, None, 0, 1, 2]), view=VIEW)
    def list_own(self, account: str, recycled: bool, pool: int | None, view: View) -> None:
        files = [
            file
            for file in self.world.files_of(account, recycled=recycled)
            if (pool is None or file.pool is self.world.pools[pool]) and has_part(file.name, view.part)
        ]
        query = query_of(view, **selection(recycled, None if pool is None else self.world.pools[pool].id))
        answer = self.ask(account, "GET", f"/api/files/me?{query}")
        same(answer.headers["X-Total"], str(len(files)), "total")
        self.are_files(answer.json, page_of(files, view, lambda file: file))

    @rule(account=ACCOUNT, pool=st.sampled_from([0, 1, 2]))
    def see_usage_of_a_pool(self, account: str, pool: int) -> None:
        chosen = self.world.pools[pool]
        is_seen = chosen.owner in {None, account}
        path = f"/api/billing/usage/{chosen.id}"
        answer = self.ask(account, "GET", path, None if is_seen else Code.NOT_FOUND)
        if is_seen:
            files = [file for file in self.world.files_of(account) if file.pool is chosen]
            shown = answer.json
            expected = len(files), sum(len(file.content) for file in files), self.world.stored_mib(account, chosen)
            same((shown["file_count"], shown["usage_bytes"], shown["cost"]), expected, "usage")


def given_for(file: File, passcode: str | None) -> str | None:
    """Return what a reader sends for the passcode of a file's bundle, whether it has one or not."""
    is_right = passcode == "right" and file.bundle is not None and file.bundle.passcode is not None
    return passcode if not is_right or file.bundle is None else file.bundle.passcode


def has_part(text: str, part: str | None) -> bool:
    return part is None or part.lower() in text.lower()


def selection(recycled: bool, pool_id: str | None) -> dict[str, str]:
    return {"recycled": str(recycled).lower()} | ({} if pool_id is None else {"pool": pool_id})
