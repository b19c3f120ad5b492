"""Which errors mean that the database cannot be reached, and who is told."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from drive.errors import unavailable

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger()

_BUSY_LOG_INTERVAL_S = 10.0
_SHOWN_QUERY_CHARS = 200


class Outage:
    """Tells clients `UNAVAILABLE`, and the log once when the database is lost and once when it is back."""

    def __init__(self) -> None:
        self._is_on = False
        self._busy_logged_at_s = float("-inf")

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Wrap the taking of a connection: whatever the driver refuses it for, clients cannot use the database."""
        import asyncpg

        try:
            yield
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self.note(error)
            raise unavailable("The database") from error
        except (ValueError, OverflowError) as error:  # of an address that is none; its text can be part of a password
            self.note(error)
            raise unavailable("The database") from None

    @contextmanager
    def asking(self, connection: "PoolConnectionProxy[Record]", query: str) -> Iterator[None]:
        """Wrap a statement: errors of the connection become `UNAVAILABLE` and end it, those of SQL pass."""
        was_on = self._is_on
        try:
            yield
        except Exception as error:
            if not is_outage(error):
                raise
            if isinstance(error, TimeoutError):  # asyncpg has the server cancel the query; the connection is good
                log.warning("Database query timed out", query=" ".join(query.split())[:_SHOWN_QUERY_CHARS])
            else:
                self.note(error)
                _drop(connection)
            raise unavailable("The database") from error
        # An answer to what was asked before the outage does not end it.
        if was_on and self._is_on:
            self._is_on = False
            log.info("Database reachable again")

    def note(self, error: BaseException) -> None:
        """Log the beginning of an outage, by the error's type: its text can name hosts and users."""
        if not self._is_on:
            self._is_on = True
            log.warning("Database unreachable", error=type(error).__name__)

    def note_busy(self, max_connections: int) -> None:
        """Log, now and then, that requests wait in vain for one of the connections."""
        now_s = time.monotonic()
        if now_s - self._busy_logged_at_s >= _BUSY_LOG_INTERVAL_S:
            self._busy_logged_at_s = now_s
            log.warning("Database connections all in use", max_connections=max_connections)


def _drop(connection: "PoolConnectionProxy[Record]") -> None:
    import asyncpg

    with suppress(asyncpg.InterfaceError):  # it is gone already
        connection.terminate()


def is_outage(error: BaseException) -> bool:
    """Tell whether an error of a statement comes from the connection or the server's state and not from the SQL."""
    import asyncpg

    return (
        isinstance(
            error,
            (
                OSError,  # also TimeoutError
                asyncpg.PostgresConnectionError,
                asyncpg.AdminShutdownError,
                asyncpg.CrashShutdownError,
                asyncpg.CannotConnectNowError,
                asyncpg.DatabaseDroppedError,
                asyncpg.IdleSessionTimeoutError,
                asyncpg.InsufficientResourcesError,  # too many connections, memory or disk used up
            ),
        )
        or (
            # How asyncpg refuses a connection whose server took its leave, until it sees the end of it.
            type(error) in {asyncpg.InternalClientError, asyncpg.ProtocolError}
        )
        or (
            # What closed connections and pools raise has no class of its own; subclasses are errors of arguments.
            type(error) is asyncpg.InterfaceError
            and any(word in str(error) for word in ("closed", "closing", "released"))
        )
    )
