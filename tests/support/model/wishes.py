"""What clients ask of uploads."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from drive.errors import Code
from drive.peers.seed import REALM_ID
from support.model.machine import INDEX, NAME, PATH, VISIBILITY, Machine, pick
from support.model.values import LATER, File, sha256

CONTENTS = [b"", b"x", b"0123456789", b"ab" * 15, b"ab" * 14 + b"ba", b"c" * 48, b"d" * 49, b"e" * 64, b"f" * 150]
TOO_LARGE = b"g" * 201
NOT_THE_CONTENT = b"wrong"


@dataclass(frozen=True, slots=True)
class Wish:
    """A content, and what its file is to be."""

    content: bytes
    name: str
    mime_type: str
    pool: int
    bundle: int | None
    is_bundle_own: bool
    path: str | None
    visibility: str
    expired_at: str | None
    hash: str
    """Which hash is declared: the right one, a wrong one, or none that proves anything."""

    @property
    def declared(self) -> str:
        """The hash that is sent."""
        if self.hash == "none":
            return "d41d8cd98f00b204e9800998ecf8427e"
        return sha256(self.content if self.hash == "right" else NOT_THE_CONTENT)

    @property
    def sha256(self) -> str | None:
        return None if self.hash == "none" else self.declared


WISH = st.builds(
    Wish,
    content=st.sampled_from([*CONTENTS, *CONTENTS, TOO_LARGE]),
    name=NAME,
    mime_type=st.sampled_from(["application/octet-stream", "text/plain", "text/html; charset=utf-8"]),
    pool=st.sampled_from([0, 0, 0, 1, 2]),
    bundle=st.none() | INDEX | INDEX,
    is_bundle_own=st.sampled_from([True, True, True, True, False]),
    path=st.none() | PATH,
    visibility=VISIBILITY,
    expired_at=st.sampled_from([None, None, LATER]),
    hash=st.sampled_from(["right", "right", "right", "wrong", "none"]),
)


class Wishes(Machine):
    """Turns wishes into drafts of files."""

    def draft(self, account: str, wish: Wish) -> File:
        """Return what an upload is to become."""
        bundles = [it for it in self.world.bundles if not it.is_deleted and (it.owner == account) == wish.is_bundle_own]
        return File(
            account,
            wish.name,
            self.world.pools[wish.pool],
            wish.mime_type,
            bundle=None if wish.bundle is None or not bundles else pick(bundles, wish.bundle),
            visibility=wish.visibility,
            expired_at=wish.expired_at,
        )

    def enter(self, file: File, path: str | None) -> None:
        """Note that a file was put into a folder, if it was not there, and learn the id of its entry."""
        if path is None or self.world.is_in(file, path):
            return
        query = "select id from file_indexes where file_id = $1 and path = $2"
        index_id = self.run(self.running.rows.fetchval(query, file.id, path))
        assert index_id is not None, f"{file.id} is not in {path}"
        self.world.entries[str(index_id)] = file, path

    def room(self, draft: File, size: int) -> Code | None:
        """Tell whether the quota is too small."""
        return None if self.world.has_room(draft.owner, draft.pool, size) else Code.QUOTA_EXCEEDED


def fields_of(draft: File) -> dict[str, Any]:
    """Return what clients of all kinds say of a file, where they say it."""
    said = {
        "pool_id": draft.pool.id,
        "bundle_id": draft.bundle and draft.bundle.id,
        "visibility": draft.visibility,
        "realm_id": REALM_ID if draft.visibility == "realm" else None,
        "expired_at": draft.expired_at,
    }
    return {name: value for name, value in said.items() if value is not None}
