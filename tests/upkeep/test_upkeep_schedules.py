"""What cleans up, and whether anybody asks for it."""

from drive.settings import Settings
from drive.worker_container import WorkerContainer

CLEANING = {"sweep", "expire", "fold", "recycle", "purge", "check_objects"}


def test_all_that_cleans_up_is_scheduled_and_known_to_the_worker(settings: Settings) -> None:
    container = WorkerContainer(settings=settings)
    scheduled = set(container.schedules().names)
    assert scheduled == CLEANING
    assert scheduled <= set(container.worker.kwargs["jobs"]())
