"""Uploads by tus."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from drive.errors import Code
from drive.uploads.interfaces import TaskStatus
from support.api import Answer
from support.model.machine import ACCOUNT, INDEX, STRANGER, pick_open, same
from support.model.values import Upload, sha256
from support.model.wishes import WISH, Wish, Wishes, fields_of
from support.model.world import fitted
from support.tus import HEADERS, ROOT, TYPE, checksum, id_of, metadata, path_of

COUNT = st.integers(0, 64)

some_tus = precondition(lambda self: any(upload.id and upload.is_tus for upload in self.world.uploads))


class TusRules(Wishes):
    """Creates, feeds and ends uploads by tus."""

    def tus(self, number: int) -> Upload:
        return pick_open([one for one in self.world.uploads if one.id and one.is_tus], number)

    @rule(account=ACCOUNT, wish=WISH, first=st.none() | st.integers(0, 200))
    def create_by_tus(self, account: str, wish: Wish, first: int | None) -> None:
        """Begin an upload; with the first bytes or all of them, or without."""
        draft, size = self.draft(account, wish), len(wish.content)
        code = self.world.refusal(draft, size) or self.room(draft, size)
        upload = Upload(draft, wish.content, size, fitted(size, None), wish.sha256, wish.path, is_tus=True)
        data = None if first is None else wish.content[:first]
        if code is None:
            self.world.uploads.append(upload)
            code = self._arrived(upload, data or b"")
        said = {"filename": wish.name, "filetype": wish.mime_type, "hash": wish.declared, "path": wish.path or ""}
        headers = {"Upload-Length": str(size), "Upload-Metadata": metadata(**said, **fields_of(draft))}
        headers |= {} if data is None else {"Content-Type": TYPE}
        answer = self.ask(account, "POST", ROOT, code, status=201, headers=HEADERS | headers, data=data)
        if code is None:
            upload.id = id_of(path_of(answer))
            self._is_at(upload, answer)

    @some_tus
    @rule(
        number=INDEX,
        stranger=STRANGER,
        count=COUNT,
        back=st.sampled_from([0, 0, 0, 0, 1, -1]),
        kind=st.sampled_from(["right", "right", "right", "other", "too much"]),
        sum_=st.sampled_from([None, None, "right", "wrong"]),
    )
    def append(self, number: int, stranger: str, count: int, back: int, kind: str, sum_: str | None) -> None:
        upload = self.tus(number)
        offset = max(0, len(upload.arrived) - back)
        data = _next(upload, count, kind)
        code = _refusal(upload, offset, data)
        if code is None and sum_ == "wrong":
            code = Code.CHECKSUM_MISMATCH
        if code is None:
            code = self._arrived(upload, data)
        headers = {"Upload-Offset": str(offset), "Content-Type": TYPE}
        headers |= {} if sum_ is None else checksum(data if sum_ == "right" else data + b"!")
        answer = self._owned(upload, stranger, "PATCH", code, status=204, headers=headers, data=data)
        if code is None:
            self._is_at(upload, answer)

    @some_tus
    @rule(number=INDEX, stranger=STRANGER)
    def look(self, number: int, stranger: str) -> None:
        upload = self.tus(number)
        code = None if upload.is_open or upload.status is TaskStatus.COMPLETED else Code.GONE
        answer = self._owned(upload, stranger, "HEAD", code)
        if code is None:
            same(answer.headers["Upload-Length"], str(upload.size), "length")
            same(int(answer.headers["Upload-Offset"]), len(upload.arrived), "offset")

    @some_tus
    @rule(number=INDEX, stranger=STRANGER)
    def terminate(self, number: int, stranger: str) -> None:
        upload = self.tus(number)
        code = {TaskStatus.IN_PROGRESS: None, TaskStatus.COMPLETED: Code.CONFLICT}.get(upload.status, Code.GONE)
        self._owned(upload, stranger, "DELETE", code, status=204)
        if code is None:
            upload.status = TaskStatus.CANCELLED

    def _owned(
        self, upload: Upload, stranger: str, method: str, code: Code | None, headers: Any = None, **options: Any
    ) -> Answer:
        path, headers = f"{ROOT}/{upload.id}", HEADERS | (headers or {})
        owner, others = upload.draft.owner, Code.FORBIDDEN
        return self.owned(owner, stranger, method, path, code, others=others, headers=headers, **options)

    def _arrived(self, upload: Upload, data: bytes) -> Code | None:
        """Note what has come; the last of it makes the file, or shows that it is not what was declared."""
        arrived = upload.arrived + data
        if upload.is_open and len(arrived) == upload.size and upload.declared not in {None, sha256(arrived)}:
            upload.status = TaskStatus.FAILED
            return Code.VALIDATION_ERROR
        upload.arrived = arrived
        return None

    def _is_at(self, upload: Upload, answer: Answer) -> None:
        """See that an answer tells where the upload is; at its end it names the file, which is new the first time."""
        same(answer.headers["Upload-Offset"], str(len(upload.arrived)), "offset")
        if len(upload.arrived) < upload.size:
            assert "Upload-File-Id" not in answer.headers
            return
        file_id = answer.headers["Upload-File-Id"]
        if upload.is_open:
            file = self.world.finish(upload, upload.arrived, file_id)
            self.is_file(self.ask(file.owner, "GET", f"/api/files/{file_id}/info").json, file)
            self.enter(file, upload.path)
        same(file_id, upload.draft.id, "file")


def _refusal(upload: Upload, offset: int, data: bytes) -> Code | None:
    if not upload.is_open and upload.status is not TaskStatus.COMPLETED:
        return Code.GONE
    if offset != len(upload.arrived):
        return Code.CONFLICT
    return Code.TOO_LARGE if len(data) > upload.size - offset else None


def _next(upload: Upload, count: int, kind: str) -> bytes:
    """Return bytes to send: those that follow, others as many, or more than there can be."""
    data = upload.content[len(upload.arrived) :][:count]
    if kind == "too much":
        return upload.content[len(upload.arrived) :] + b"!"
    return data if kind == "right" else b"?" * len(data)
