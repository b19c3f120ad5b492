"""How large uploads and their chunks may be."""

from dataclasses import dataclass

from drive.errors import Code, DriveError, invalid


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes; `lifetime_s` is how long an upload may rest."""

    file_bytes: int
    direct_bytes: int
    chunk_bytes: int
    chunk_max_bytes: int
    chunks_max: int
    lifetime_s: int

    @property
    def most_bytes(self) -> int:
        """Return how large a file may be."""
        return min(self.file_bytes, self.chunk_max_bytes * self.chunks_max)

    def check(self, file_bytes: int, asked_bytes: int | None) -> None:
        """Refuse what no pool takes.

        Raises:
            DriveError: VALIDATION_ERROR, TOO_LARGE.

        """
        if file_bytes < 0:
            raise invalid("file_size", "must be 0 or more bytes")
        if asked_bytes is not None and asked_bytes <= 0:
            raise invalid("chunk_size", "must be 1 or more bytes")
        if file_bytes > self.most_bytes:
            raise DriveError(Code.TOO_LARGE, f"A file may have at most {self.most_bytes} bytes.")

    def chunk_size(self, file_bytes: int, asked_bytes: int | None, *, least_bytes: int = 1) -> int:
        """Return the chunk size for a file: what the client asks, fitted between the smallest and the largest allowed.

        `least_bytes` is what the store asks of all chunks but the last.
        """
        least_bytes = max(least_bytes, -(-file_bytes // self.chunks_max))
        return max(min(asked_bytes or self.chunk_bytes, self.chunk_max_bytes), least_bytes)
