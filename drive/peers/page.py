"""The stand-ins in a browser: who has which token, and what was sent through Ring last."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any

from aiohttp import web

from drive.peers.world import Notification, Packet, World

SHOWN = 50
"""How many of the newest packets and notifications the page shows."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<title>Drive: stand-ins for pass and ring</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; max-width: 75rem }}
table {{ border-collapse: collapse; margin: 1rem 0 2rem; width: 100% }}
caption {{ font-weight: 600; text-align: left }}
th, td {{ border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }}
td {{ font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere }}
</style>
<h1>Stand-ins for pass and ring</h1>
<p>For development only. Send a token as <code>Authorization: Bearer plain-token</code>.
All packets: <a href="packets.json">packets.json</a>, all notifications:
<a href="notifications.json">notifications.json</a>. This page reloads itself.</p>
{tables}
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The handlers, over one world."""

    world: World

    async def show(self, _: web.Request) -> web.Response:
        """Answer with the page."""
        tables = (self._accounts(), self._packets(), self._notifications())
        return web.Response(text=PAGE.format(tables="\n".join(tables)), content_type="text/html", headers=HEADERS)

    async def packets(self, _: web.Request) -> web.Response:
        """Answer with all packets as JSON, newest first."""
        return _json(self.world.packets)

    async def notifications(self, _: web.Request) -> web.Response:
        """Answer with all notifications as JSON, newest first."""
        return _json(self.world.notifications)

    def _accounts(self) -> str:
        return _table("Accounts", ("Name", "Token", "Id", "Rights"), map(self._account, self.world.tokens))

    def _account(self, token: str) -> Sequence[str]:
        session = self.world.sessions.get(self.world.tokens[token])
        account = self.world.accounts.get(session.account_id) if session else None
        if session is None or account is None:
            return "", token, "", "no session"
        rights = (
            "expired" if session.has_expired() else "",
            "superuser" if account.is_superuser else "",
            account.perk.identifier if account.perk and account.perk.is_active else "",
        )
        return account.name, token, account.id, ", ".join(filter(None, rights))

    def _packets(self) -> str:
        return _table(
            "Newest packets",
            ("At", "To", "Type", "Data"),
            (
                (_clock(it.at), self._who(it.user_id) or it.device_id, it.type, _text(it.data))
                for it in islice(reversed(self.world.packets), SHOWN)
            ),
        )

    def _notifications(self) -> str:
        return _table(
            "Newest notifications",
            ("At", "To", "Topic", "Title", "Body"),
            (
                (_clock(it.at), self._who(it.user_id), it.topic, it.title, it.body)
                for it in islice(reversed(self.world.notifications), SHOWN)
            ),
        )

    def _who(self, account_id: str) -> str:
        account = self.world.accounts.get(account_id)
        return account.name if account else account_id


def routes(world: World) -> list[web.RouteDef]:
    """Return the page's routes for an application, or for a sub-application under any prefix."""
    page = Page(world)
    return [
        web.get("/", page.show),
        web.get("/packets.json", page.packets),
        web.get("/notifications.json", page.notifications),
    ]


def _table(caption: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Draw a table. Every cell is escaped here and nowhere else."""
    head = "".join(f'<th scope="col">{escape(it)}</th>' for it in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _json(records: Sequence[Packet | Notification]) -> web.Response:
    newest_first = [asdict(record) for record in reversed(records)]
    return web.json_response(text=json.dumps(newest_first, default=_plain), headers=HEADERS)


def _plain(thing: Any) -> Any:
    """Turn what JSON has no word for into something it has: bytes are JSON text on this wire, where all is well."""
    if isinstance(thing, datetime):
        return thing.isoformat()
    try:
        return json.loads(thing)
    except ValueError:
        return _text(thing)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")
