"""The streams of JetStream that Drive uses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from drive.errors import Code, DriveError

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.api import StreamInfo

log = structlog.get_logger()

_DUPLICATES_S = 600.0  # longer than a client that was cut off goes on trying to send what it has
_DAY_S = 24 * 3600.0


class StreamError(DriveError):
    """A stream or a consumer is not as Drive needs it; the message says what an operator does about it."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.CONFLICT, message)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream and the one subject in it that concerns us; `max_age_s` and `max_messages` are 0 for no limit."""

    name: str
    subject: str
    max_age_s: float = 0
    max_messages: int = -1


FILE_EVENTS = Stream("file_events", "file_uploaded", max_age_s=30 * _DAY_S)
# It is pass that fills this one. Nothing may be lost of it, whatever time the workers were down for.
ACCOUNT_EVENTS = Stream("account_events", "account_deleted")
DEAD_LETTERS = Stream("drive_dead_letters", "drive.dead_letter", max_messages=10_000)


async def ensure(jetstream: "JetStreamContext", stream: Stream) -> None:
    """Create a stream where it is absent. One that is there is used as it is, whatever else it holds.

    Raises:
        StreamError: it does not have the subject, or another has it.
        nats.errors.Error: JetStream cannot say.

    """
    from nats.js.errors import NotFoundError

    try:
        info = await jetstream.stream_info(stream.name)
    except NotFoundError:
        info = await _created(jetstream, stream)
    subjects = info.config.subjects or []
    if not any(covers(pattern, stream.subject) for pattern in subjects):
        raise StreamError(
            f"The stream {stream.name!r} has the subjects {subjects}, and not {stream.subject!r}. "
            f"Add it: nats stream edit {stream.name} --subjects={','.join([*subjects, stream.subject])}"
        )


async def _created(jetstream: "JetStreamContext", stream: Stream) -> "StreamInfo":
    from nats.js.api import StreamConfig
    from nats.js.errors import BadRequestError

    config = StreamConfig(
        name=stream.name,
        subjects=[stream.subject],
        max_age=stream.max_age_s,
        max_msgs=stream.max_messages,
        duplicate_window=_DUPLICATES_S,
    )
    try:
        info = await jetstream.add_stream(config)
    except BadRequestError as error:
        raise StreamError(
            f"The stream {stream.name!r} cannot be created with the subject {stream.subject!r}: {error.description}. "
            "Where another stream has that subject, take it out of that one."
        ) from error
    log.info("Stream created", stream=stream.name, subject=stream.subject)
    return info


def covers(pattern: str, subject: str) -> bool:
    """Tell whether a stream with this subject, which may hold `*` and `>`, takes that one."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        given = [*given[: len(wanted) - 1], ">"] if len(given) >= len(wanted) else given
    return len(wanted) == len(given) and all(one in {"*", other} for one, other in zip(wanted, given, strict=True))
