"""What an account is told when an image or a video of its has been processed."""

from drive.db.database import Database
from drive.errors import Code, DriveError
from drive.files.service import Files
from drive.uploads.feed import Feed
from drive.uploads.interfaces import Task
from drive.uploads.service import QUERIES


class Processed:
    """Tells of uploads whose file has all that it will have."""

    def __init__(self, database: Database, files: Files, feed: Feed) -> None:
        self._database = database
        self._files = files
        self._feed = feed

    async def tell(self, task_id: str | None) -> None:
        """Tell the account; nothing where there is no upload, it has been forgotten, or its file deleted."""
        row = await self._database.fetchrow(QUERIES["task"], task_id)
        if row is None:
            return
        task = Task.from_row(row)
        try:
            file = await self._files.get(task.file_id)
        except DriveError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        else:
            self._feed.processed(task, file)
