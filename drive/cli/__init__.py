"""The command line."""

import argparse
import os
import sys
from pathlib import Path

from drive.cli.errors import CommandError, report
from drive.errors import Code, DriveError

_LAST_PORT = 65535
_PORT_HELP = "on this machine only; 0 takes any free one"


def main(arguments: list[str] | None = None) -> None:
    """Run `drive`. Exits with 2 where arguments, settings or wiring are wrong, with 1 where the command failed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    try:
        status = options.run(options)
    except DriveError as error:
        report(options.command, error.message)
        status = 2 if error.code is Code.VALIDATION_ERROR else 1
    except CommandError as error:
        report(options.command, str(error))
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drive",
        description="A file service whose dependencies cost nothing until they are used.",
        epilog="Example: drive demo, to see it run. `drive COMMAND --help` has an example of each.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = _command(commands, "serve", "Answer HTTP, and gRPC if set.", "DRIVE_HTTP_LISTEN=127.0.0.1:8080 drive serve")
    _takes_settings(serve)
    serve.set_defaults(run=_serve)

    worker = _command(commands, "worker", "Do jobs: process media, delete objects, clean up.", "drive worker --once")
    worker.add_argument("--once", action="store_true", help="do what is due, and exit")
    _takes_settings(worker)
    worker.set_defaults(run=_worker)

    migrate = _command(commands, "migrate", "Bring the database's schema up to date.", "drive migrate")
    _takes_settings(migrate)
    migrate.set_defaults(run=_migrate)

    validate = _command(
        commands, "validate", "Check the wiring; open and connect nothing.", "drive validate && drive serve"
    )
    _takes_settings(validate)
    validate.set_defaults(run=_validate)

    graph = _command(commands, "graph", "Draw the wiring, as mermaid.", "drive graph > graph.mmd")
    graph.set_defaults(run=_graph)

    jobs = _command(commands, "jobs", "Show and retry jobs, and what is done at an interval.", "drive jobs --json")
    _takes_settings(jobs)
    if "jobs" in arguments:
        from drive.cli.jobs import declare as declare_jobs

        declare_jobs(jobs)
    jobs.set_defaults(run=_jobs)

    audit = _command(
        commands, "audit", "Tell from logs which gRPC channels were opened, and if rightly.", "drive audit app.log*"
    )
    _takes_settings(audit)
    if "audit" in arguments:
        from drive.cli.audit import declare as declare_audit

        declare_audit(audit)
    audit.set_defaults(run=_audit)

    monitor = _command(
        commands, "monitor", "Show memory, connections and jobs; exit with 1 above a cap.", "drive monitor --json"
    )
    _takes_settings(monitor)
    if "monitor" in arguments:
        from drive.cli.monitor import declare as declare_monitor

        declare_monitor(monitor)
    monitor.set_defaults(run=_monitor)

    pool = _command(commands, "pool", "Make, list, change and check pools.", "drive pool add photos public_usable=true")
    _takes_settings(pool)
    if "pool" in arguments:  # which the other commands need not import
        from drive.cli.pool import declare

        declare(pool)
    pool.set_defaults(run=_pool)

    demo = _command(commands, "demo", "Run everything on this machine, with nothing installed.", "drive demo --smoke")
    demo.add_argument("--smoke", action="store_true", help="do one whole round by itself, and exit with 0 or 1")
    demo.add_argument("--port", type=_port, default=6000, help=f"of the HTTP API, {_PORT_HELP} (default: 6000)")
    demo.set_defaults(run=_demo)

    peers = _command(commands, "peers", "Run development stand-ins for pass and ring.", "drive peers --pass-port 5001")
    peers.add_argument("--pass-port", type=_port, default=5001, help=f"{_PORT_HELP} (default: 5001)")
    peers.add_argument("--ring-port", type=_port, default=5002, help=f"{_PORT_HELP} (default: 5002)")
    peers.add_argument("--page-port", type=_port, default=5003, help=f"{_PORT_HELP} (default: 5003)")
    peers.set_defaults(run=_peers)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str, example: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=purpose, description=purpose, epilog=f"Example: {example}")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {_LAST_PORT}")
    return int(text)


def _takes_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="TOML file; DRIVE_* variables win over it (docs/settings.md)"
    )


# Each command's module is imported when it runs: `drive serve` must not pay for what only the demo needs.


def _serve(options: argparse.Namespace) -> int:
    from drive.cli.serve import serve

    return serve(options.settings)


def _worker(options: argparse.Namespace) -> int:
    from drive.cli.worker import worker

    return worker(options.settings, once=options.once)


def _migrate(options: argparse.Namespace) -> int:
    from drive.cli.migrate import migrate_database

    return migrate_database(options.settings)


def _validate(options: argparse.Namespace) -> int:
    from drive.cli.validate import validate_container

    return validate_container(options.settings)


def _graph(_options: argparse.Namespace) -> int:
    from drive.cli.graph import graph

    return graph()


def _jobs(options: argparse.Namespace) -> int:
    from drive.cli.jobs import jobs

    return jobs(options.settings, options)


def _audit(options: argparse.Namespace) -> int:
    from drive.cli.audit import audit

    return audit(options.settings, options)


def _monitor(options: argparse.Namespace) -> int:
    from drive.cli.monitor import monitor

    return monitor(options.settings, options)


def _pool(options: argparse.Namespace) -> int:
    from drive.cli.pool import pool

    return pool(options.settings, options)


def _demo(options: argparse.Namespace) -> int:
    # Read by gRPC when it is imported. It would say on stderr that it skips its fork handlers, which a child that only
    # executes another program does not need.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from drive.cli.demo import demo

    return demo(port=options.port, smoke=options.smoke)


def _peers(options: argparse.Namespace) -> int:
    from drive.cli.peers import peers

    return peers(options.pass_port, options.ring_port, options.page_port)
