"""How far the reading is, for who waits for it."""

import sys
import threading
import time

from drive.audit.units import size

_INTERVAL_S = 0.1
_WIDTH = 30


class Progress:
    """One line on stderr, where that is a terminal. Threads may share it."""

    def __init__(self, total_bytes: int, *, is_shown: bool | None = None) -> None:
        self._total_bytes = total_bytes
        self._is_shown = sys.stderr.isatty() if is_shown is None else is_shown
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._drawn_s = time.monotonic()  # what is done within the interval shows nothing
        self._is_drawn = False

    def add(self, count_bytes: int) -> None:
        """Go on."""
        with self._lock:
            self._done_bytes += count_bytes
            if self._is_shown and time.monotonic() - self._drawn_s > _INTERVAL_S:
                self._draw()

    def erase(self) -> None:
        """Leave nothing of it on the terminal."""
        with self._lock:
            if self._is_drawn:
                self._write("\r\x1b[K")
            self._is_shown = self._is_drawn = False

    def _draw(self) -> None:
        self._drawn_s, self._is_drawn = time.monotonic(), True
        if not self._total_bytes:
            self._write(f"\r\x1b[K{size(self._done_bytes)}")
            return
        share = min(self._done_bytes / self._total_bytes, 1.0)
        bar = "#" * int(share * _WIDTH)
        self._write(f"\r\x1b[K[{bar:-<{_WIDTH}}] {share:4.0%} of {size(self._total_bytes)}")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
