"""Moments, times and sizes, as people read them; and moments as they write them."""

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|min|h|d|w)")
_SPAN_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_SIZE_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def moment(at_us: int | None) -> datetime | None:
    """Turn microseconds since 1970 into what has a calendar."""
    return None if at_us is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)


def shown_moment(at_us: int | None) -> str:
    """Show it to the second."""
    at = moment(at_us)
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def shown_time(time_us: int | None) -> str:
    """Show how long something took, or how much later it was."""
    if time_us is None:
        return "-"
    if abs(time_us) < 1_000_000:  # noqa: PLR2004 - a second
        return f"{time_us / 1000:.0f} ms"
    seconds = time_us / 1_000_000
    unit, length_s = next((one for one in _TIME_UNITS if abs(seconds) >= one[1]), _TIME_UNITS[-1])
    return f"{seconds / length_s:.1f} {unit}"


def size(count_bytes: int) -> str:
    """Show bytes in the largest unit that fits."""
    for unit, unit_bytes in _SIZE_UNITS:
        if count_bytes >= unit_bytes:
            return f"{count_bytes / unit_bytes:.1f} {unit}"
    return f"{count_bytes} bytes"


def since(text: str, now: datetime) -> int:
    """Read `2h`, `30m` or a moment of ISO 8601; return it as microseconds since 1970. No zone is UTC.

    Raises:
        ValueError: it is neither.

    """
    if match := _SPAN.fullmatch(text.strip()):
        at = now - timedelta(seconds=float(match[1]) * _SPAN_UNITS_S[match[2]])
    else:
        at = datetime.fromisoformat(text.strip())
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000_000)
