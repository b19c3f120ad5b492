"""A picture: a line per endpoint of each process, over time."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from drive.audit.auditing import Report
from drive.audit.model import Channel, Finding, Process
from drive.audit.store import Group
from drive.audit.units import shown_moment

_LINES_MOST = 300
"""More would be no picture any more: the latest are drawn."""
_SPANS_MOST = 2000
_LEFT, _WIDTH, _RIGHT, _ROW, _TOP, _BOTTOM = 380, 900, 50, 22, 44, 36  # pixels
_TICKS = 6
_LABEL_MOST_CHARS = 60

_STYLE = """
text { font: 12px system-ui, sans-serif; }
.back { fill: #fff; }
text { fill: #24292f; }
.faint { fill: #6e7781; } .rule { stroke: #d0d7de; } .life { stroke: #afb8c1; stroke-width: 2; }
.open { stroke: #0969da; stroke-width: 8; } .created { fill: #1a7f37; } .found { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  .back { fill: #0d1117; }
  text { fill: #e6edf3; }
  .faint { fill: #8b949e; } .rule { stroke: #30363d; } .life { stroke: #6e7681; }
  .open { stroke: #58a6ff; } .created { fill: #3fb950; } .found { fill: #ff7b72; }
}
"""


def timeline(report: Report) -> str:
    """Return an SVG: grey while the process was there, blue while the channel was open, green where it was created.

    Findings are red. What has no timestamp is not in it.
    """
    rows = [(process, channel) for process in report.processes for channel in process.channels.values()]
    drawn = rows[-_LINES_MOST:]
    moments = [at_us for process, _ in drawn for at_us in _life(process)]
    scale = _Scale(min(moments, default=0), max(moments, default=0))
    found = _by_channel(report.findings)
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * max(len(drawn), 1) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>gRPC channels over time</title><style>{_STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
        _text(8, 22, _heading(len(drawn), len(rows), len(report.findings))),
        *(_ticks(scale, height) if moments else [_text(_LEFT, _TOP + 15, "Nothing with a timestamp.", "faint")]),
    ]
    for number, (process, channel) in enumerate(drawn):
        y = _TOP + _ROW * number + _ROW // 2
        parts += _row(scale, y, process, channel, found.get((process.group, channel.endpoint), []))
    return "\n".join([*parts, "</svg>\n"])


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where on the picture a moment is."""

    first_us: int
    last_us: int

    def x(self, at_us: int) -> float:
        return round(_LEFT + _WIDTH * (at_us - self.first_us) / max(self.last_us - self.first_us, 1), 1)


def _row(scale: _Scale, y: int, process: Process, channel: Channel, found: list[Finding]) -> Iterator[str]:
    label = f"{process.name}  {channel.endpoint}"
    cut = label if len(label) <= _LABEL_MOST_CHARS else f"{label[: _LABEL_MOST_CHARS - 1]}…"
    yield f"<g><title>{_safe(_told(process, channel))}</title>{_text(8, y + 4, cut)}"
    life = _life(process)
    if life:
        yield _line("life", y, scale.x(life[0]), scale.x(life[-1]))
        for start_us, end_us in _spans(channel, life[-1])[-_SPANS_MOST:]:
            yield _line("open", y, scale.x(start_us), max(scale.x(end_us), scale.x(start_us) + 1))
    if channel.created_at_us is not None:
        yield f'<circle class="created" cx="{scale.x(channel.created_at_us)}" cy="{y}" r="5"/>'
    for finding in found:
        if finding.at_us is not None and life and life[0] <= finding.at_us <= life[-1]:
            mark = f'<circle class="found" cx="{scale.x(finding.at_us)}" cy="{y}" r="5">'
            yield f"{mark}<title>{_safe(f'{finding.kind.value}: {finding.message}')}</title></circle>"
    yield "</g>"


def _life(process: Process) -> list[int]:
    """Return from when till when a process is known to have been there; nothing where its lines have no moments."""
    moments = [process.started_at_us, process.last_at_us, *(one.created_at_us for one in process.channels.values())]
    known = sorted(at_us for at_us in moments if at_us is not None)
    return [known[0], known[-1]] if known else []


def _spans(channel: Channel, last_us: int) -> list[tuple[int, int]]:
    still_open = [(event.at_us, last_us) for _, event in channel.open if event.at_us is not None]
    return channel.spans + still_open


def _by_channel(findings: list[Finding]) -> dict[tuple[Group | None, str], list[Finding]]:
    found: dict[tuple[Group | None, str], list[Finding]] = {}
    for one in findings:
        found.setdefault((one.group, one.endpoint), []).append(one)
    return found


def _told(process: Process, channel: Channel) -> str:
    """Say what a reader's pointer asks for."""
    closed = sum(channel.closed.values())
    created = (
        f"created {channel.created} times, first at {shown_moment(channel.created_at_us)} by {channel.service or '?'}"
    )
    return f"{process.name}, {channel.endpoint}: {created}; reopened {channel.reopened}, closed {closed} times"


def _ticks(scale: _Scale, height: int) -> Iterator[str]:
    for tick in range(_TICKS):
        at_us = scale.first_us + (scale.last_us - scale.first_us) * tick // (_TICKS - 1)
        x = scale.x(at_us)
        yield f'<line class="rule" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - _BOTTOM}"/>'
        date, _, time = shown_moment(at_us).partition(" ")
        yield _text(x, height - _BOTTOM + 14, time, "faint", "middle")
        yield _text(x, height - _BOTTOM + 27, date, "faint", "middle")


def _heading(drawn: int, rows: int, findings: int) -> str:
    which = "" if drawn == rows else f", the latest {drawn} of {rows}"
    return f"gRPC channels by process and endpoint{which}: {findings} findings"


def _line(kind: str, y: int, start: float, end: float) -> str:
    return f'<line class="{kind}" x1="{start}" x2="{end}" y1="{y}" y2="{y}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{_safe(text)}</text>'


def _safe(text: str) -> str:
    """Escape what the log has brought; XML has no place for control characters, escaped or not."""
    return escape("".join(one if one.isprintable() else "?" for one in text))
