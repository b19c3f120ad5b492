"""Uploads in chunks, and in one request."""

import asyncio
import dataclasses
import random
from typing import Any

import aiohttp
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from drive.errors import Code
from drive.uploads.interfaces import TaskStatus
from support.api import Answer
from support.model.machine import ACCOUNT, INDEX, STRANGER, other_than, pick, same, some_file, some_upload
from support.model.values import File, Upload, sha256
from support.model.wishes import NOT_THE_CONTENT, WISH, Wish, Wishes, fields_of
from support.model.world import DIRECT_MAX_BYTES, fitted

ROOT = "/api/files/upload"


class UploadRules(Wishes):
    """Creates, feeds, completes and cancels uploads."""

    @rule(account=ACCOUNT, wish=WISH, chunk_size=st.sampled_from([None, 1, 7, 1000]))
    def create(self, account: str, wish: Wish, chunk_size: int | None) -> None:
        """Begin an upload, or be given the file of the same content."""
        self._create(self.draft(account, wish), wish, chunk_size)

    @some_file
    @rule(number=INDEX, wish=WISH, differs=st.sampled_from([None, None, "visibility", "bundle", "expired_at", "name"]))
    def create_again(self, number: int, wish: Wish, differs: str | None) -> None:
        """Bring what is there already, or what differs from that in one way."""
        file = self.file(number)
        draft = File(file.owner, file.name, file.pool, file.mime_type)
        draft.bundle, draft.visibility, draft.expired_at = file.bundle, file.visibility, file.expired_at
        if differs is not None:
            setattr(draft, differs, getattr(self.draft(file.owner, wish), differs))
        if not draft.has_expired:
            self._create(draft, dataclasses.replace(wish, content=file.content), None)

    def _create(self, draft: File, wish: Wish, chunk_size: int | None) -> None:
        size, code = len(wish.content), self.world.refusal(draft, len(wish.content))
        content = wish.content if wish.hash == "right" else NOT_THE_CONTENT
        there = None if code or wish.sha256 is None else self.world.same(draft, content)
        if code is None and there is None:
            code = self.room(draft, size)
        body = {"hash": wish.declared, "file_name": draft.name, "file_size": size, "content_type": draft.mime_type}
        body |= fields_of(draft) | {"path": wish.path, "chunk_size": chunk_size}
        answer = self.ask(draft.owner, "POST", f"{ROOT}/create", code, json=body)
        if code is not None:
            return
        same(answer.json["file_exists"], there is not None, "file_exists")
        if there is not None:
            self.is_file(answer.json["file"], there)
            self.enter(there, wish.path)
            return
        upload = Upload(draft, wish.content, size, fitted(size, chunk_size), wish.sha256, wish.path)
        upload.id = answer.json["task_id"]
        told = answer.json["chunk_size"], answer.json["chunks_count"]
        same(told, (upload.chunk_bytes, upload.chunks_count), "chunks")
        self.world.uploads.append(upload)

    @some_upload
    @rule(
        number=INDEX,
        stranger=STRANGER,
        index=st.integers(0, 8),
        kind=st.sampled_from(["right", "right", "other", "short", "long", "empty"]),
    )
    def send_chunk(self, number: int, stranger: str, index: int, kind: str) -> None:
        upload = self.upload(number)
        index %= upload.chunks_count + 1
        data = _altered(upload.part(index), kind)
        path = f"{ROOT}/chunk/{upload.id}/{index}"
        code = _chunk_refusal(upload, index, data)
        self.owned(upload.draft.owner, stranger, "POST", path, code, others=Code.FORBIDDEN, data=data)
        if code is None:
            upload.chunks.setdefault(index, data)

    @precondition(lambda self: any(map(takes_chunks, self.world.uploads)))
    @rule(number=INDEX, seed=st.integers(0, 99), again=st.booleans(), completes=st.booleans())
    def finish(self, number: int, seed: int, again: bool, completes: bool) -> None:
        """Send what is missing in any order, some twice, and as forms; and make a file of it, or leave it at that."""
        upload = pick([one for one in self.world.uploads if takes_chunks(one)], number)
        self._send_what_is_missing(upload, seed, again=again)
        if completes:
            self._complete(upload, together=1)

    def _send_what_is_missing(self, upload: Upload, seed: int, *, again: bool) -> None:
        missing = [index for index in range(upload.chunks_count) if index not in upload.chunks]
        random.Random(seed).shuffle(missing)
        for index in missing + missing[: again * 2]:
            sent = self.signed_in(upload.draft.owner).send_chunk(upload.id, index, upload.part(index))
            answer = self.told(sent, None)
            same(bool(answer.body), index in upload.chunks, "said to be there already")
            upload.chunks[index] = upload.part(index)

    @some_upload
    @rule(number=INDEX, stranger=STRANGER, together=st.sampled_from([1, 1, 3]))
    def complete(self, number: int, stranger: str, together: int) -> None:
        """Once, or several times at once: then some are told that another is at it, and it happens once."""
        upload = self.upload(number)
        path = f"{ROOT}/complete/{upload.id}"
        refused = Code.UNAUTHORIZED if stranger == "nobody" else Code.FORBIDDEN
        self.ask(None if stranger == "nobody" else other_than(upload.draft.owner), "POST", path, refused)
        self._complete(upload, together)

    def _complete(self, upload: Upload, together: int) -> None:
        path, owner, code = f"{ROOT}/complete/{upload.id}", upload.draft.owner, self._completing(upload)
        answers = self.run(self._completed(owner, path, together))
        wanted = 200 if code is None else code.value.http
        assert {answer.status for answer in answers} <= {wanted, 409}, answers
        right = [answer for answer in answers if answer.status == wanted]
        assert right, answers
        self._ended(upload, code, [answer.json for answer in right])

    async def _completed(self, owner: str, path: str, together: int) -> list[Answer]:
        return await asyncio.gather(*(self.signed_in(owner).post(path) for _ in range(together)))

    def _completing(self, upload: Upload) -> Code | None:
        """Tell why an upload cannot be completed."""
        if upload.status is TaskStatus.COMPLETED:
            return None if upload.draft in self.world.files else Code.NOT_FOUND
        if not upload.is_open or len(upload.chunks_there) < upload.chunks_count:
            return Code.CONFLICT
        return None if _is_declared(upload, _content(upload)) else Code.VALIDATION_ERROR

    def _ended(self, upload: Upload, code: Code | None, shown: list[Any]) -> None:
        """Note what has become of an upload that was to be completed."""
        if code is Code.VALIDATION_ERROR:
            upload.status = TaskStatus.FAILED
        elif code is None:
            if upload.is_open:
                file = self.world.finish(upload, _content(upload), shown[0]["id"])
                self.enter(file, upload.path)
            for one in shown:
                self.is_file(one, upload.draft)

    @some_upload
    @rule(number=INDEX, stranger=STRANGER)
    def cancel(self, number: int, stranger: str) -> None:
        upload = self.upload(number)
        code = None if upload.is_open else Code.CONFLICT
        path = f"{ROOT}/task/{upload.id}"
        self.owned(upload.draft.owner, stranger, "DELETE", path, code, others=Code.FORBIDDEN)
        if upload.is_open:
            upload.status = TaskStatus.CANCELLED

    @rule(account=ACCOUNT, wish=WISH, is_form=st.booleans())
    def upload_directly(self, account: str, wish: Wish, is_form: bool) -> None:
        """A form may be larger than what is in it, so that more of the quota is held until its end."""
        draft, size = self.draft(account, wish), len(wish.content)
        draft.bundle, draft.expired_at = None, None
        held = DIRECT_MAX_BYTES if is_form else min(size, DIRECT_MAX_BYTES)
        code = self.world.refusal(draft, 0) or self.room(draft, held)
        upload = Upload(draft, wish.content, held, status=TaskStatus.FAILED)
        if code is None:
            self.world.uploads.append(upload)
            if size > DIRECT_MAX_BYTES:
                code = Code.TOO_LARGE
            elif draft.pool.most_bytes is not None and size > draft.pool.most_bytes:
                code = Code.FORBIDDEN
        sent = _direct(wish, fields_of(draft), is_form=is_form)
        answer = self.ask(account, "POST", f"{ROOT}/direct", code, **sent)
        if code is None:
            file = self.world.finish(upload, wish.content, answer.json["id"])
            self.is_file(answer.json, file)
            self.enter(file, wish.path)

    @rule(account=ACCOUNT, wishes=st.lists(WISH, min_size=2, max_size=4))
    def upload_several(self, account: str, wishes: list[Wish]) -> None:
        for wish in wishes:
            self.upload_directly(account, wish, is_form=False)

    @some_upload
    @rule(number=INDEX)
    def let_expire(self, number: int) -> None:
        """Nobody has touched it for its lifetime, and the worker sweeps."""
        upload = self.upload(number)
        query = "update upload_tasks set expires_at = now() - interval '1 s' where id = $1"
        self.run(self.running.rows.execute(query, upload.id))
        self.run(self.running.do("sweep"))
        if upload.is_open:
            upload.status = TaskStatus.EXPIRED


def takes_chunks(upload: Upload) -> bool:
    return bool(upload.id) and upload.is_open and not upload.is_tus


def _chunk_refusal(upload: Upload, index: int, data: bytes) -> Code | None:
    """Tell why a chunk is refused; one that is there is not read again, whatever is sent."""
    if not upload.is_open or upload.is_tus:
        return Code.CONFLICT
    if index >= upload.chunks_count:
        return Code.VALIDATION_ERROR
    wanted = len(upload.part(index))
    if index in upload.chunks or len(data) == wanted:
        return None
    return Code.TOO_LARGE if len(data) > wanted else Code.VALIDATION_ERROR


def _altered(data: bytes, kind: str) -> bytes:
    altered = {"right": data, "other": b"?" * len(data), "short": data[1:], "long": data + b"!", "empty": b""}
    return altered[kind]


def _content(upload: Upload) -> bytes:
    return b"".join(upload.chunks[index] for index in range(upload.chunks_count))


def _is_declared(upload: Upload, content: bytes) -> bool:
    return upload.declared in {None, sha256(content)}


def _direct(wish: Wish, fields: dict[str, Any], *, is_form: bool) -> dict[str, Any]:
    """Return the options of a request that carries all of a file."""
    params = {"fileName": wish.name, "path": wish.path or ""} | fields
    if not is_form:
        return {"params": params, "data": wish.content, "headers": {"Content-Type": wish.mime_type}}
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", wish.content, filename=wish.name, content_type=wish.mime_type)
    return {"params": params, "data": form}
