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

    def chunk_size(self, file_bytes: int, asked_bytes: int | None) -> int:
        """Return the chunk size for a file: what the client asks, fitted between the smallest and the largest allowed.

        Raises:
            DriveError: VALIDATION_ERROR, TOO_LARGE.

        """
        if file_bytes < 0:
            raise invalid("file_size", "must be 0 or more bytes")
        if asked_bytes is not None and asked_bytes <= 0:
            raise invalid("chunk_size", "must be 1 or more bytes")
        most_bytes = min(self.file_bytes, self.chunk_max_bytes * self.chunks_max)
        if file_bytes > most_bytes:
            raise DriveError(Code.TOO_LARGE, f"A file may have at most {most_bytes} bytes.")
        least_bytes = -(-file_bytes // self.chunks_max)
        return min(max(asked_bytes or self.chunk_bytes, least_bytes), self.chunk_max_bytes)
