"""What has become of uploads."""

from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import rule

from drive.errors import Code
from drive.uploads.interfaces import TaskStatus
from support.model.machine import ACCOUNT, INDEX, STRANGER, Machine, same, some_upload
from support.model.values import Upload

ROOT = "/api/files/upload"
NAMES = {status: status.name.title().replace("_", "") for status in TaskStatus}
FORGOTTEN = {TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.EXPIRED}


class HistoryRules(Machine):
    """Looks back at uploads, and forgets some."""

    def uploads_of(self, account: str) -> list[Upload]:
        return [upload for upload in self.world.uploads if upload.draft.owner == account]

    @some_upload
    @rule(number=INDEX, stranger=STRANGER, way=st.sampled_from(["progress/{}", "resume/{}", "tasks/{}/details"]))
    def see_an_upload(self, number: int, stranger: str, way: str) -> None:
        upload = self.upload(number)
        path = f"{ROOT}/{way.format(upload.id)}"
        answer = self.owned(upload.draft.owner, stranger, "GET", path, others=Code.FORBIDDEN).json
        shown = answer.get("task", answer)
        expected = {
            "task_id": upload.id,
            "file_name": upload.name,
            "file_size": upload.size,
            "content_type": upload.draft.mime_type,
            "chunk_size": upload.chunk_bytes,
            "chunks_count": upload.chunks_count,
            "chunks_uploaded": len(upload.chunks_there),
            "uploaded_chunks": upload.chunks_there,
            "progress": upload.percent,
            "status": upload.status,
        }
        same({name: shown[name] for name in expected}, expected, "upload")

    @rule(account=ACCOUNT)
    def sum_up(self, account: str) -> None:
        uploads = self.uploads_of(account)
        open_ = [upload for upload in uploads if upload.is_open]
        done = [upload for upload in uploads if upload.status is TaskStatus.COMPLETED]
        shown = self.ask(account, "GET", f"{ROOT}/stats").json
        expected = {
            "total_tasks": len(uploads),
            "in_progress_tasks": len(open_),
            "completed_tasks": len(done),
            "failed_tasks": sum(upload.status is TaskStatus.FAILED for upload in uploads),
            "expired_tasks": sum(upload.status is TaskStatus.EXPIRED for upload in uploads),
            "total_uploaded_bytes": sum(it.size for it in done) + sum(it.arrived_bytes for it in open_),
        }
        same({name: shown[name] for name in expected}, expected, "statistics")
        average = sum(upload.percent for upload in open_) / max(1, len(open_))
        assert abs(shown["average_progress"] - average) < 1e-6, (shown, average)
        same(len(shown["recent_activity"]), min(5, len(uploads)), "recent ones")

    @rule(
        account=ACCOUNT,
        status=st.none() | st.sampled_from(sorted(NAMES)),
        order=st.sampled_from(["created", "filename", "filesize"]),
        descending=st.booleans(),
    )
    def list_uploads(self, account: str, status: TaskStatus | None, order: str, descending: bool) -> None:
        """Those of direct uploads are there, too, under ids that nobody was told."""
        uploads = [upload for upload in self.uploads_of(account) if status in {None, upload.status}]
        query = {"status": "" if status is None else NAMES[status], "sortBy": order, "sortDescending": descending}
        answer = self.ask(account, "GET", f"{ROOT}/tasks?limit=100&{urlencode(query)}")
        same(answer.headers["X-Total"], str(len(uploads)), "total")
        known = {upload.id for upload in uploads} - {""}
        shown = [one["task_id"] for one in answer.json if one["task_id"] in known]
        same(shown, [upload.id for upload in _sorted(uploads, order, descending) if upload.id], "uploads")

    @rule(account=ACCOUNT)
    def forget_those_without_a_file(self, account: str) -> None:
        forgotten = [upload for upload in self.uploads_of(account) if upload.status in FORGOTTEN]
        answer = self.ask(account, "DELETE", f"{ROOT}/tasks/cleanup")
        same(answer.json["message"], f"Cleaned up {len(forgotten)} failed tasks", "message")
        self.world.uploads = [upload for upload in self.world.uploads if upload not in forgotten]


def _sorted(uploads: list[Upload], order: str, descending: bool) -> list[Upload]:
    """Sort as the service does: those of equal names or sizes by id, in the other direction."""
    if order == "created":
        return uploads[::-1] if descending else uploads
    by_id = sorted(uploads, key=lambda upload: upload.id, reverse=not descending)
    if order == "filename":
        return sorted(by_id, key=lambda upload: upload.name, reverse=descending)
    return sorted(by_id, key=lambda upload: upload.size, reverse=descending)
