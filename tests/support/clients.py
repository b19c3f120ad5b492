"""Clients of a service whose processes are killed: what they do about it, and what they know in the end."""

import asyncio
import hashlib
import io
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from PIL import Image

from support.api import Answer, Api
from support.replicas import Fleet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNK_BYTES = 16 * 1024
COMPLETED = 3
NO_PROOF = "not-a-sha256"
PNG = "image/png"
_RETRY_INTERVAL_S = 0.05
_TIMEOUT = aiohttp.ClientTimeout(total=20)  # of one attempt; then the client asks again, as for a lost connection
_ATTEMPTS = 200


@dataclass(slots=True)
class Told:
    """An answer, and how many attempts before it got none: each may have been heard all the same."""

    answer: Answer
    lost: int

    @property
    def json(self) -> Any:
        return self.answer.json


@dataclass(slots=True, eq=False)
class Kept:
    """A file that was confirmed. What was asked for and never answered may have happened or not."""

    id: str
    content: bytes
    names: set[str]
    """One, and those of lost attempts to rename it."""
    recycled: set[bool]


@dataclass(slots=True)
class Owner:
    """An account, and what its clients know together."""

    token: str
    files: dict[str, Kept] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """By id; those that are surely gone."""
    busy: set[str] = field(default_factory=set)
    """Files that a client is at."""
    contents: list[bytes] = field(default_factory=list)
    chunked: list[str] = field(default_factory=list)
    """The names of files that came in chunks, as they came: each is there once."""
    direct: Counter[str] = field(default_factory=Counter)
    """How often each was sent in one request: nobody can tell whether one that was lost was heard."""
    done: Counter[str] = field(default_factory=Counter)


class Client:
    """Does one thing after the other, each until it is confirmed."""

    def __init__(self, fleet: Fleet, session: aiohttp.ClientSession, account: Owner, number: int) -> None:
        self.account = account
        self.number = number
        self._fleet = fleet
        self._session = session
        self._random = random.Random(number)
        self._name = f"{account.token}-{number}"
        self._count = 0
        self._things: list[Callable[[], Awaitable[None]]] = [
            *[self.upload] * 4,
            *[self.upload_directly] * 3,
            *[self.rename] * 2,
            *[self.delete] * 2,
            *[self.recycle] * 2,
            *[self.find] * 2,
            *[self.download] * 3,
        ]

    async def work(self, is_over: asyncio.Event) -> None:
        """Do things until it is over, the last of them to its end."""
        while not is_over.is_set():
            thing = self._random.choice(self._things)
            await thing()
            self.account.done[thing.__name__] += 1

    # Asking

    async def once(self, method: str, path: str, **options: Any) -> Answer | None:
        """Ask one of the replicas; None where the connection is lost, or it says to try again."""
        api = Api(self._session, await self._fleet.url(), self.account.token)
        try:
            answer = await api.request(method, path, timeout=_TIMEOUT, **options)
        except (aiohttp.ClientError, TimeoutError):
            answer = None
        if answer is None or "Retry-After" in answer.headers:
            self.account.done["asked again"] += 1
            await asyncio.sleep(_RETRY_INTERVAL_S)
            return None
        return answer

    async def ask(self, method: str, path: str, *, again: int | None = None, **options: Any) -> Told:
        """Ask until there is an answer: 200, or, where an attempt before was lost, what its repetition is told."""
        for lost in range(_ATTEMPTS):
            answer = await self.once(method, path, **options)
            if answer is not None:
                assert answer.status == 200 or (lost and answer.status == again), (method, path, lost, answer)
                return Told(answer, lost)
        raise AssertionError(f"no answer: {method} {path}")

    # Uploading

    async def upload(self) -> None:
        """Upload in chunks; after a lost connection send what is missing."""
        name, content, kind = self._new()
        task = await self._begin(name, content, kind)
        if task["file_exists"]:
            assert task["file"]["hash"] == hashlib.sha256(content).hexdigest()
            return
        task_id = task["task_id"]
        missing = list(range(task["chunks_count"]))
        while missing:
            self._random.shuffle(missing)
            await asyncio.gather(*(self._send(task_id, index, content) for index in missing))
            progress = (await self.ask("GET", f"/api/files/upload/resume/{task_id}")).json
            missing = sorted(set(range(progress["chunks_count"])) - set(progress["uploaded_chunks"]))
        path = f"/api/files/upload/complete/{task_id}"
        told = await asyncio.gather(*(self.ask("POST", path) for _ in range(self._random.choice([1, 1, 2]))))
        assert len({one.json["id"] for one in told}) == 1
        self.account.chunked.append(name)
        self._keep(told[0].json, name, content)

    async def _begin(self, name: str, content: bytes, kind: str) -> Any:
        """Create an upload; where the answer is lost, look whether there is one."""
        proof = self._random.choice([hashlib.sha256(content).hexdigest(), NO_PROOF])
        body = {"file_name": name, "file_size": len(content), "content_type": kind, "hash": proof}
        while True:
            created = await self.once("POST", "/api/files/upload/create", json=body | {"chunk_size": CHUNK_BYTES})
            if created is not None:
                assert created.status == 200, created
                return created.json
            if there := [task for task in await self.unfinished() if task["file_name"] == name]:
                return there[0] | {"file_exists": False}

    async def _send(self, task_id: str, index: int, content: bytes) -> None:
        """Send a chunk; whether it has arrived is asked for all of them at once."""
        data = content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        answer = await self.once("POST", f"/api/files/upload/chunk/{task_id}/{index}", data=data)
        assert answer is None or answer.status == 200, answer

    async def upload_directly(self) -> None:
        """Upload in one request."""
        await self._upload_directly(*self._new())

    async def upload_picture(self) -> None:
        await self._upload_directly(self._new_name(), _picture(self._random), PNG)

    async def _upload_directly(self, name: str, content: bytes, kind: str) -> None:
        """After a lost connection end what is left of the upload, and look whether the file is there."""
        params = {"fileName": name}
        while True:
            self.account.direct[name] += 1
            answer = await self.once(
                "POST", "/api/files/upload/direct", params=params, data=content, headers={"Content-Type": kind}
            )
            if answer is not None:
                assert answer.status == 200, answer
                return self._keep(answer.json, name, content)
            await self.cancel(name)
            if there := await self._named(name):
                return self._keep(there[0], name, content)

    async def unfinished(self) -> list[Any]:
        """Return the uploads that are under way."""
        listed: list[Any] = (await self.ask("GET", "/api/files/upload/tasks?status=InProgress&limit=100")).json
        return listed

    async def cancel(self, name: str | None = None) -> int:
        """End the uploads of a name, or all that there are; return how many these were."""
        tasks = [task for task in await self.unfinished() if name in {None, task["file_name"]}]
        for task in tasks:
            while (answer := await self.once("DELETE", f"/api/files/upload/task/{task['task_id']}")) is None:
                pass
            assert answer.status in {200, 409}, answer  # 409: it has ended by itself, or by an attempt that was lost
        return len(tasks)

    # Using

    async def rename(self) -> None:
        if file := self._take():
            name = self._new_name()
            told = await self.ask("PATCH", f"/api/files/{file.id}/name", json=name)
            file.names = {name} if told.lost == 0 and len(file.names) == 1 else file.names | {name}
            self._give_back(file)

    async def recycle(self) -> None:
        """Put a file into the bin, or take it out again."""
        if file := self._take():
            recycled = self._random.random() < 0.5
            told = await self.ask("POST" if recycled else "DELETE", f"/api/files/{file.id}/recycle")
            file.recycled = {recycled} if told.lost == 0 and len(file.recycled) == 1 else file.recycled | {recycled}
            self._give_back(file)

    async def delete(self) -> None:
        if file := self._take():
            await self.ask("DELETE", f"/api/files/{file.id}", again=404)
            del self.account.files[file.id]
            self.account.deleted.add(file.id)
            self._give_back(file)

    async def find(self) -> None:
        """A file is listed under its name."""
        file = self._take()
        if file and len(file.names) == len(file.recycled) == 1:
            found = await self._named(*file.names, recycled=file.recycled == {True})
            assert [one["id"] for one in found].count(file.id) == 1, (file.names, found)
        if file:
            self._give_back(file)

    async def download(self) -> None:
        if file := self._take():
            await self.check(file)
            self._give_back(file)

    async def check(self, file: Kept) -> None:
        """See that a file has its bytes."""
        told = await self.ask("GET", f"/api/files/{file.id}?original=true")
        assert told.answer.body == file.content, file.id

    async def all_files(self) -> list[Any]:
        """Return all files of the account, in the bin and out of it."""
        listed: list[Any] = []
        for recycled in ("false", "true"):
            offset = 0
            path = f"/api/files/me?take=100&order=name&recycled={recycled}"
            while page := (await self.ask("GET", f"{path}&offset={offset}")).json:
                listed += page
                offset += len(page)
        return listed

    async def _named(self, name: str, *, recycled: bool = False) -> list[Any]:
        params = {"query": name, "recycled": str(recycled).lower()}
        found: list[Any] = (await self.ask("GET", "/api/files/me", params=params)).json
        return found

    # Remembering

    def _new_name(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}."  # none is a part of another

    def _new(self) -> tuple[str, bytes, str]:
        """Return a name, bytes and their type: now and then those of another file, or a picture."""
        kind, draw = "application/octet-stream", self._random.random()
        if draw < 0.25 and self.account.contents:
            content = self._random.choice(self.account.contents)
        elif draw < 0.3:
            content, kind = _picture(self._random), PNG
        else:
            content = self._random.randbytes(self._random.randint(1, 4 * CHUNK_BYTES))
            self.account.contents.append(content)
        return self._new_name(), content, kind

    def _keep(self, file: Any, name: str, content: bytes) -> None:
        assert (file["name"], file["size"], file["hash"]) == (name, len(content), hashlib.sha256(content).hexdigest())
        self.account.files[file["id"]] = Kept(file["id"], content, {name}, {False})

    def _take(self) -> Kept | None:
        free = [file for file in self.account.files.values() if file.id not in self.account.busy]
        if not free:
            return None
        file = self._random.choice(free)
        self.account.busy.add(file.id)
        return file

    def _give_back(self, file: Kept) -> None:
        self.account.busy.remove(file.id)


def _picture(chosen: random.Random) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (24, 24), chosen.randbytes(24 * 24 * 3)).save(file, "PNG")
    return file.getvalue()
