"""What is wrong with what processes did."""

from collections.abc import Iterable, Iterator

from drive.audit.events import Event, What
from drive.audit.model import Channel, Finding, Kind, Process, Rules
from drive.audit.store import Group, Place

_LAST = "shutdown"  # after a channel was closed for this reason, its process opens none


class Judge:
    """Reads the events of groups, one group after the other."""

    def __init__(self, rules: Rules, *, keeps_spans: bool = False) -> None:
        self._rules = rules
        self._keeps_spans = keeps_spans

    def processes(
        self, group: Group, events: Iterable[tuple[Place, Event]], *, is_complete: bool = True
    ) -> Iterator[tuple[Process, list[Finding]]]:
        """Yield each process of a group and what is wrong with it.

        Args:
            group: whose events they are.
            events: in order.
            is_complete: whether there will be no more, so that what is absent will not come.

        """
        reading: _Reading | None = None
        for place, event in events:
            if reading is not None and event.what.is_start and not reading.begins_with(event):
                yield reading.end(was_replaced=True, is_complete=is_complete)
                reading = None
            if reading is None:
                reading = _Reading(Process(group, place), self._rules, keeps_spans=self._keeps_spans)
            reading.take(place, event)
        if reading is not None:
            yield reading.end(was_replaced=False, is_complete=is_complete)


class _Reading:
    """A process whose lines are being read."""

    def __init__(self, process: Process, rules: Rules, *, keeps_spans: bool) -> None:
        self._process = process
        self._rules = rules
        self._keeps_spans = keeps_spans
        self._findings: list[Finding] = []
        self._early: list[tuple[Place, Event]] = []
        """What was created before the process told what it is."""

    def begins_with(self, event: Event) -> bool:
        """Tell whether a start is that of the process which was read so far.

        A service of an older version does not tell when it began. Whatever comes before its start is its own, unless
        a request has been there already, or an end.
        """
        process = self._process
        was_closed = any(_LAST in channel.closed for channel in process.channels.values())
        is_open = not (process.kind or process.has_ended or process.was_asked or was_closed)
        return is_open and event.what is What.LISTENING and event.begun_us is None

    def take(self, place: Place, event: Event) -> None:
        """Go on by a line."""
        process = self._process
        process.last_at_us = max(event.at_us or 0, process.last_at_us or 0) or None
        if event.what.is_start:
            self._start(event)
        elif event.what is What.STOPPING:
            process.stopped_at_us, process.has_ended = event.at_us, True
        elif event.what is What.CLOSING:
            self._close(event)
        else:
            self._open(place, event)
        process.was_asked = process.was_asked or event.is_asked

    def end(self, *, was_replaced: bool, is_complete: bool) -> tuple[Process, list[Finding]]:
        """Judge what is absent, and return all."""
        process = self._process
        process.has_ended = process.has_ended or was_replaced
        if was_replaced or is_complete:
            if process.has_ended:
                self._find_open()
            self._compare_with_expected()
        return process, self._findings

    def _start(self, event: Event) -> None:
        process = self._process
        process.kind = "serve" if event.what is What.LISTENING else "worker"
        process.started_at_us, process.ready_at_us = event.begun_us or event.at_us, event.at_us
        for place, early in self._early:
            self._find(Kind.NOT_LAZY, place, early, "was created before {} listened")
        self._early.clear()

    def _open(self, place: Place, event: Event) -> None:
        channel = self._channel(event.endpoint)
        if not channel.allowed and event.endpoint not in self._rules.endpoints:
            self._find(Kind.UNKNOWN_ENDPOINT, place, event, "was opened by {}")
        if event.max_connections not in channel.allowed:
            self._check_connections(place, event)
        channel.allowed.add(event.max_connections)
        channel.open.append((place, event))
        if event.what is What.CREATING:
            self._create(channel, place, event)
        else:
            channel.reopened += 1

    def _channel(self, endpoint: str) -> Channel:
        channels = self._process.channels
        if endpoint not in channels:
            channels[endpoint] = Channel(endpoint)
        return channels[endpoint]

    def _create(self, channel: Channel, place: Place, event: Event) -> None:
        channel.created += 1
        if channel.created > 1:
            self._find(Kind.CREATED_TWICE, place, event, f"was created for the {_nth(channel.created)} time by {{}}")
        else:
            channel.created_at_us, channel.service = event.at_us, event.service
        self._check_laziness(place, event)

    def _close(self, event: Event) -> None:
        channel = self._channel(event.endpoint)
        channel.closed[event.reason] += 1
        if channel.open:
            _, opened = channel.open.popleft()
            if self._keeps_spans and opened.at_us is not None and event.at_us is not None:
                channel.spans.append((opened.at_us, event.at_us))

    def _check_laziness(self, place: Place, event: Event) -> None:
        """Find what was created before anybody asked for it.

        A process tells when it began and when it was ready. What `serve` creates after that, for a request, has the
        request's id; a worker's jobs have none.
        """
        process, ready_at_us = self._process, self._process.ready_at_us
        if not process.kind:
            self._early.append((place, event))
        elif ready_at_us is not None and event.at_us is not None and event.at_us < ready_at_us:
            self._find(Kind.NOT_LAZY, place, event, "was created before {} was ready")
        elif process.kind == "serve" and not event.is_asked and not process.was_asked:
            self._find(Kind.NOT_LAZY, place, event, "was created by {} and by no request, before there was any")

    def _check_connections(self, place: Place, event: Event) -> None:
        cap, allowed = self._rules.max_connections, event.max_connections
        if cap and (allowed > cap or allowed == 0):
            much = f"{allowed} connections" if allowed else "any number of connections"
            self._find(Kind.CONNECTIONS, place, event, f"may have {much} in {{}}; the cap is {cap}")

    def _find_open(self) -> None:
        for channel in self._process.channels.values():
            for place, event in channel.open:
                self._find(Kind.NEVER_CLOSED, place, event, "was opened here, and not closed when {} ended")

    def _compare_with_expected(self) -> None:
        process = self._process
        for name, count in self._rules.expected.items():
            endpoint = self._rules.endpoint_of(name)
            channel = process.channels.get(endpoint, Channel(endpoint))
            if channel.created != count and not self._is_excused(channel):
                did = f"was created {_times(channel.created)} by {process.name}"
                message = f"{endpoint} {did}, and {name}={count} was expected"
                at_us = process.last_at_us
                self._findings.append(Finding(Kind.UNEXPECTED, process.first, at_us, process.group, endpoint, message))

    def _is_excused(self, channel: Channel) -> bool:
        """Tell whether a channel may be absent: no job needed it, or it was created before the log begins."""
        process = self._process
        if channel.created or process.kind == "serve":
            return False
        creates_others = any(one.created for one in process.channels.values())
        return process.kind == "worker" or bool(channel.reopened or channel.closed) or not creates_others

    def _find(self, kind: Kind, place: Place, event: Event, message: str) -> None:
        said = f"{event.endpoint} {message.format(self._process.name)}"
        self._findings.append(Finding(kind, place, event.at_us, self._process.group, event.endpoint, said))


def _nth(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
