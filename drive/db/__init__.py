"""PostgreSQL: SQL by name, a pool that connects at the first query, migrations."""
