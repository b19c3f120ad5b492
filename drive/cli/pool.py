"""`drive pool`."""

import argparse
import asyncio
import getpass
import sys
from pathlib import Path
from time import perf_counter
from uuid import UUID

import msgspec

from drive import logs
from drive.cli.errors import CommandError
from drive.containers import Container
from drive.lazy import lifespan
from drive.pools.admin import KEYS, PoolAdmin, PoolSummary
from drive.settings import load

_KEYS_HELP = "what to set: " + ", ".join(KEYS)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done with pools."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    add = _action(actions, "add", "Make a pool.", "drive pool add photos public_usable=true accept_types=image/*")
    add.add_argument("name", help="of the pool")
    add.add_argument("--id", type=UUID, help="its id, where another than a random one is wanted")
    add.add_argument("values", nargs="*", metavar="KEY=VALUE", help=_KEYS_HELP)
    add.set_defaults(act=_add)

    listing = _action(actions, "list", "List the pools, without their secrets.", "drive pool list --json")
    listing.add_argument("--json", action="store_true", help="all there is to know, for programs")
    listing.set_defaults(act=_list)

    edit = _action(actions, "edit", "Change a pool.", "drive pool edit ID enable_signed=true max_file_size=")
    edit.add_argument("id", type=UUID, help="of the pool")
    edit.add_argument("values", nargs="+", metavar="KEY=VALUE", help=f"{_KEYS_HELP}. Nothing after = is the default")
    edit.set_defaults(act=_edit)

    check = _action(actions, "check", "Store, read and delete an object in each pool.", "drive pool check")
    check.add_argument("ids", nargs="*", type=UUID, metavar="ID", help="of pools; all where none is given")
    check.set_defaults(act=_check)


def pool(settings_file: Path | None, options: argparse.Namespace) -> int:
    """Do one thing with pools."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    return asyncio.run(_within(Container(settings=settings, role="pool"), options))


async def _within(container: Container, options: argparse.Namespace) -> int:
    async with lifespan(container):
        status: int = await options.act(
            PoolAdmin(container.database(), container.stores(), container.http_session()), options
        )
        return status


async def _add(admin: PoolAdmin, options: argparse.Namespace) -> int:
    logs.write_line(str(await admin.add(_values(options.values) | {"name": options.name}, pool_id=options.id)))
    return 0


async def _edit(admin: PoolAdmin, options: argparse.Namespace) -> int:
    await admin.edit(options.id, _values(options.values))
    return 0


async def _list(admin: PoolAdmin, options: argparse.Namespace) -> int:
    pools = await admin.listed()
    if options.json:
        logs.write_line(msgspec.json.format(msgspec.json.encode(pools)).decode())
    else:
        for one in pools:
            logs.write_line(_line(one))
    return 0


async def _check(admin: PoolAdmin, options: argparse.Namespace) -> int:
    failures = 0
    for pool_id in options.ids or [one.id for one in await admin.listed()]:
        started_s = perf_counter()
        try:
            await admin.check(pool_id)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way; this is what tells how
            failures += 1
            logs.write_line(f"{pool_id}  failed: {error}")
        else:
            logs.write_line(f"{pool_id}  in order, {1000 * (perf_counter() - started_s):.0f} ms")
    return 1 if failures else 0


def _line(one: PoolSummary) -> str:
    where = f"{one.storage.get('endpoint', '')}/{one.storage.get('bucket', '')}" if one.kind == "s3" else ""
    return f"{one.id}  {one.name}  {one.kind} {where}  {one.objects} objects, {one.size_bytes} bytes"


def _values(pairs: list[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; a value @FILE is what is in that file, and @- is asked for."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"{pair!r} is no KEY=VALUE.")
        if key == "secret_key" and value and not value.startswith("@"):
            raise CommandError(
                "A secret on the command line is seen by others. Write secret_key=@FILE, or @- to type it."
            )
        values[key] = _read(value[1:]) if value.startswith("@") else value
    return values


def _read(name: str) -> str:
    if name == "-":
        return getpass.getpass("secret: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    try:
        return Path(name).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from error


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str, example: str
) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=purpose, description=purpose, epilog=f"Example: {example}")
