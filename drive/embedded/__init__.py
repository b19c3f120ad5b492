"""Real PostgreSQL and Valkey from wheels, for the demo and the tests.

    with EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
        ...  # postgres.url, valkey.url

Both listen on a unix socket in a private folder, as root and as a normal user, and leave no process and no folder
behind, even where this process is killed. Linux and macOS.
"""

from drive.embedded.folder import EmbeddedServerError
from drive.embedded.postgres import EmbeddedPostgres
from drive.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedServerError", "EmbeddedValkey"]
