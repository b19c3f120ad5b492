"""What a disk without space looks like."""

import contextlib
import errno
from collections.abc import Iterator

from drive.storage.interfaces import StoreFullError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def space_errors() -> Iterator[None]:
    """Raise StoreFullError where the block finds no space left."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StoreFullError from error
        raise
