"""`drive migrate`."""

import asyncio
from pathlib import Path

import structlog

from drive import logs
from drive.db.migrate import migrate
from drive.settings import load

log = structlog.get_logger()


def migrate_database(settings_file: Path | None) -> int:
    """Apply the migrations that the database lacks."""
    settings = load(file=settings_file)
    logs.configure(level=settings.log_level, format_=settings.log_format)
    applied = asyncio.run(migrate(settings.database_url))
    log.info("Schema is up to date", applied=applied)
    return 0
