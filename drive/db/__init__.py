"""PostgreSQL: SQL by name, a pool that connects at the first query, migrations.

Importing this imports no driver; `open_pool` does.
"""

from drive.db.database import Connection, Database
from drive.db.pool import close_pool, open_pool
from drive.db.queries import Queries, load_queries

__all__ = ["Connection", "Database", "Queries", "close_pool", "load_queries", "open_pool"]
