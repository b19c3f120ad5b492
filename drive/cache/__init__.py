"""Redis, which makes requests faster and never makes them fail.

Importing this imports no driver; `open_redis` does.
"""

from drive.cache.cache import Cache
from drive.cache.redis import close_redis, open_redis

__all__ = ["Cache", "close_redis", "open_redis"]
