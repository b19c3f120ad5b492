"""Folders."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from drive.errors import Code
from support.model.files import RECYCLED, SELDOM, has_part, selection
from support.model.machine import (
    ACCOUNT,
    INDEX,
    PATH,
    STRANGER,
    VIEW,
    Machine,
    View,
    page_of,
    pick,
    query_of,
    same,
    some_file,
)
from support.model.values import File

ROOT = "/api/index"

some_entry = precondition(lambda self: self.world.entries)


class FolderRules(Machine):
    """Puts files into folders, moves and removes them, and looks into folders."""

    @some_file
    @rule(number=INDEX, stranger=STRANGER, path=PATH)
    def put(self, number: int, stranger: str, path: str) -> None:
        file = self.file(number)
        code = None
        if file.is_recycled:
            code = Code.CONFLICT
        elif self.world.is_in(file, path):
            code = Code.VALIDATION_ERROR
        body = {"file_id": file.id, "path": path.strip("/")}
        answer = self.owned(file.owner, stranger, "POST", f"{ROOT}/create", code, json=body)
        if code is None:
            same((answer.json["file_id"], answer.json["path"]), (file.id, path), "entry")
            self.world.entries[answer.json["index_id"]] = file, path

    @some_entry
    @rule(number=INDEX, stranger=STRANGER, path=PATH)
    def move(self, number: int, stranger: str, path: str) -> None:
        index_id, (file, old_path) = self._entry(number)
        code = None
        if file.is_recycled:
            code = Code.NOT_FOUND
        elif path != old_path and self.world.is_in(file, path):
            code = Code.CONFLICT
        body = {"new_path": path}
        answer = self.owned(file.owner, stranger, "POST", f"{ROOT}/move/{index_id}", code, json=body)
        if code is None:
            same((answer.json["old_path"], answer.json["new_path"]), (old_path, path), "paths")
            self.world.entries[index_id] = file, path

    @some_entry
    @rule(number=INDEX, stranger=STRANGER, deletes=SELDOM)
    def remove(self, number: int, stranger: str, deletes: bool) -> None:
        index_id, (file, path) = self._entry(number)
        url = f"{ROOT}/remove/{index_id}?deleteFile={str(deletes).lower()}"
        if file.is_recycled:
            self.owned(file.owner, stranger, "DELETE", url, Code.NOT_FOUND)
            return
        answer = self.owned(file.owner, stranger, "DELETE", url).json
        same((answer["file_id"], answer["file_name"], answer["path"]), (file.id, file.name, path), "entry")
        same(answer["file_data_deleted"], deletes, "whether the file was deleted")
        del self.world.entries[index_id]
        if deletes:
            self.world.delete([file])

    @rule(account=ACCOUNT, path=PATH, deletes=SELDOM)
    def clear(self, account: str, path: str, deletes: bool) -> None:
        gone = {index_id: file for index_id, (file, at) in self.world.entries_of(account).items() if at == path}
        url = f"{ROOT}/clear-path?path={quote(path, safe='')}&deleteFiles={str(deletes).lower()}"
        answer = self.ask(account, "DELETE", url).json
        expected = {"path": path, "removed_count": len(gone), "files_deleted": len(gone) * deletes, "has_more": False}
        same({name: answer[name] for name in expected}, expected, "cleared")
        for index_id in gone:
            del self.world.entries[index_id]
        if deletes:
            self.world.delete(gone.values())

    @rule(account=ACCOUNT, path=PATH, view=VIEW)
    def browse(self, account: str, path: str, view: View) -> None:
        entries = self.world.entries_of(account)
        here = {
            index_id: (file, at)
            for index_id, (file, at) in entries.items()
            if at == path and has_part(file.name, view.part)
        }
        answer = self.ask(account, "GET", f"{ROOT}/browse?{query_of(view, path=path)}").json
        self._are_entries(answer["files"], here, view)
        below = {at.removeprefix(path) for _, at in entries.values() if at.startswith(path)} - {""}
        same(answer["folders"], sorted({rest.partition("/")[0] for rest in below}), "folders")
        same((answer["path"], answer["total_count"], answer["folders_next"]), (path, len(here), None), "folder")

    @rule(account=ACCOUNT, view=VIEW)
    def see_all(self, account: str, view: View) -> None:
        found = self._found(account, None, lambda file: has_part(file.name, view.part))
        answer = self.ask(account, "GET", f"{ROOT}/all?{query_of(view)}").json
        self._are_entries(answer["files"], found, view)
        same(answer["total_count"], len(found), "total")

    @rule(account=ACCOUNT, view=VIEW, path=st.none() | PATH, part=st.sampled_from(["a", "B", "TEXT/", "octet", "%"]))
    def search(self, account: str, view: View, path: str | None, part: str) -> None:
        found = self._found(account, path, lambda file: has_part(file.name, part) or has_part(file.mime_type, part))
        view = View(view.page, view.order, view.descending, part)
        answer = self.ask(account, "GET", f"{ROOT}/search?{query_of(view, **({'path': path} if path else {}))}").json
        self._are_entries(answer["results"], found, view)
        same((answer["query"], answer["path"], answer["total_count"]), (part, path, len(found)), "search")

    @rule(account=ACCOUNT, recycled=RECYCLED, view=VIEW)
    def see_what_is_in_no_folder(self, account: str, recycled: bool, view: View) -> None:
        indexed = [file for file, _ in self.world.entries.values()]
        files = [
            file
            for file in self.world.files_of(account, recycled=recycled)
            if file not in indexed and has_part(file.name, view.part)
        ]
        answer = self.ask(account, "GET", f"{ROOT}/unindexed?{query_of(view, **selection(recycled, None))}")
        same(answer.headers["X-Total"], str(len(files)), "total")
        self.are_files(answer.json, page_of(files, view, lambda file: file))

    def _entry(self, number: int) -> tuple[str, tuple[File, str]]:
        return pick(list(self.world.entries.items()), number)

    def _found(self, account: str, path: str | None, matches: Any) -> dict[str, tuple[File, str]]:
        return {
            index_id: (file, at)
            for index_id, (file, at) in self.world.entries_of(account).items()
            if path in {None, at} and matches(file)
        }

    def _are_entries(self, shown: list[Any], entries: dict[str, tuple[File, str]], view: View) -> None:
        """Those of one file in several folders come in the order of their ids."""
        by_id = sorted(entries.items(), key=lambda item: UUID(item[0]))
        expected = page_of(by_id, view, lambda item: item[1][0])
        told = [(one["id"], one["file_id"], one["path"]) for one in shown]
        same(told, [(index_id, file.id, at) for index_id, (file, at) in expected], "entries")
        for one, (_, (file, _)) in zip(shown, expected, strict=True):
            self.is_file(one["file"], file)
