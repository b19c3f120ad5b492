"""Takes jobs from the database and does them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog

from drive.errors import DriveError
from drive.jobs.interfaces import Claimed, Job, PermanentError
from drive.jobs.queue import Queue
from drive.jobs.schedules import Schedules

log = structlog.get_logger()

_MOST_ATTEMPTS = 10
_FIRST_RETRY_S = 2.0
_LAST_RETRY_S = 3600.0
_LONGEST_JOB_S = 3600.0
_RENEWALS_PER_LEASE = 3
_GIVE_BACK_TIMEOUT_S = 1.0
_ERROR_MAX_CHARACTERS = 1000


class Worker:
    """Does due jobs, several at a time, and asks for those of the schedules. Any number of workers share one database.

    A job is this worker's while its lease lasts, which is renewed as long as the job takes. A killed worker's jobs are
    taken by others once their leases have ended. A job may thus be done twice: every job can be repeated. One that
    keeps failing ends as `failed`, for an operator to see.

    Args:
        queue: where the jobs are.
        schedules: what is done at an interval.
        jobs: what does them, by kind.
        concurrency: how many of each lane are done at a time.
        most_attempts: after how many attempts a kind has failed for good, where not after 10.
        poll_interval_s: how often each lane is looked at while nothing is due.

    """

    def __init__(
        self,
        queue: Queue,
        schedules: Schedules,
        jobs: Mapping[str, Job],
        *,
        concurrency: Mapping[str, int],
        most_attempts: Mapping[str, int],
        poll_interval_s: float,
    ) -> None:
        self._queue = queue
        self._schedules = schedules
        self._jobs = jobs
        self._concurrency = concurrency
        self._most_attempts = most_attempts
        self._poll_interval_s = poll_interval_s
        self._in_hand: dict[UUID, tuple[Claimed, asyncio.Task[None]]] = {}
        self._is_waiting = False

    async def run(self) -> None:
        """Work until cancelled, and give back then what is not done. An outage of the database is waited out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._renew))
            group.create_task(self._repeat(self._schedules.tick))
            for lane, count in self._concurrency.items():
                turn = asyncio.Lock()
                for _ in range(count):
                    group.create_task(self._repeat(partial(self._work, lane, turn)))

    async def run_once(self) -> None:
        """Do all that is due, and return."""
        await self._schedules.tick()
        renewing = asyncio.create_task(self._repeat(self._renew))
        try:
            while any(await _together([self._drain(lane) for lane, n in self._concurrency.items() for _ in range(n)])):
                pass
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def do_now(self, name: str) -> None:
        """Do a schedule's job here and now, whatever others do; what it raises is the caller's."""
        await self._jobs[name]({})
        await self._schedules.note(name)

    async def _repeat(self, step: Callable[[], Awaitable[float]]) -> None:
        """Take a step again and again, with the pauses that it asks for; no error ends the worker."""
        while True:
            try:
                pause_s = await step()
            except DriveError as error:
                if not self._is_waiting:
                    log.warning("Worker waits", reason=error.message)
                self._is_waiting, pause_s = True, self._poll_interval_s
            except Exception:  # an error that nobody foresaw must not keep the other jobs from being done
                log.exception("Worker failed")
                pause_s = self._poll_interval_s
            await asyncio.sleep(pause_s)

    async def _work(self, lane: str, turn: asyncio.Lock) -> float:
        async with turn:  # one looks for jobs; the others have theirs, or wait for their turn
            while (job := await self._claimed(lane)) is None:  # noqa: ASYNC110 - other processes write them
                await asyncio.sleep(self._poll_interval_s)
        await self._do(job)
        return 0.0

    async def _drain(self, lane: str) -> int:
        count = 0
        while (job := await self._claimed(lane)) is not None:
            await self._do(job)
            count += 1
        return count

    async def _claimed(self, lane: str) -> Claimed | None:
        claim = uuid4()
        try:
            job = await self._queue.claim(lane, claim)
        except asyncio.CancelledError:  # the database may have heard us
            await self._give_back(claim)
            raise
        self._is_waiting = False
        return job

    async def _do(self, job: Claimed) -> None:
        """Do a job to its end, whichever that is; where this is cancelled, give it back."""
        work = asyncio.create_task(self._attempt(job))
        self._in_hand[job.claim] = job, work
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            await self._give_back(job.claim)
            raise
        finally:
            self._in_hand.pop(job.claim, None)
        if not work.cancelled():
            work.result()

    async def _attempt(self, job: Claimed) -> None:
        most_attempts = self._most_attempts.get(job.kind, _MOST_ATTEMPTS)
        try:
            async with asyncio.timeout(_LONGEST_JOB_S):
                await self._perform(job, most_attempts)
        except Exception as error:  # noqa: BLE001 - a job may fail in any way; it is logged, kept and tried again
            self._in_hand.pop(job.claim, None)
            await self._settle_failed(job, error, is_final=job.attempts >= most_attempts)
        else:
            self._in_hand.pop(job.claim, None)  # no longer renewed: it ends here
            await self._queue.done(job.claim)

    async def _perform(self, job: Claimed, most_attempts: int) -> None:
        if job.attempts > most_attempts:
            raise PermanentError(f"The workers that had it were all killed, {most_attempts} times")
        if job.kind not in self._jobs:
            raise LookupError(f"This version of drive knows no job of the kind {job.kind!r}")
        await self._jobs[job.kind](job.payload)

    async def _settle_failed(self, job: Claimed, error: Exception, *, is_final: bool) -> None:
        is_final = is_final or isinstance(error, PermanentError)
        message = (str(error) if isinstance(error, PermanentError) else repr(error))[:_ERROR_MAX_CHARACTERS]
        status = "failed" if is_final else "pending"
        log.warning("Job failed", job=job.id, kind=job.kind, attempts=job.attempts, status=status, error=message)
        if is_final:
            await self._queue.fail(job.claim, message)
        else:
            after_s = min(_FIRST_RETRY_S * 2 ** (job.attempts - 1), _LAST_RETRY_S)
            await self._queue.retry(job.claim, message, after_s=after_s)

    async def _renew(self) -> float:
        claims = list(self._in_hand)
        if claims:
            for claim in set(claims) - await self._queue.renew(claims):
                job, work = self._in_hand.pop(claim, (None, None))
                if job is not None and work is not None:
                    log.warning("Job lost", job=job.id, kind=job.kind)
                    work.cancel()
        return self._queue.lease_s / _RENEWALS_PER_LEASE

    async def _give_back(self, claim: UUID) -> None:
        try:
            async with asyncio.timeout(_GIVE_BACK_TIMEOUT_S):
                await self._queue.give_back(claim)
        except (DriveError, TimeoutError) as error:
            log.warning("Job not given back", reason=repr(error), taken_after_s=self._queue.lease_s)


async def _together(work: list[Coroutine[Any, Any, int]]) -> list[int]:
    """Return all results; where one fails, end the others first."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
