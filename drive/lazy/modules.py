"""Import heavy modules without stalling the event loop."""

import asyncio
import importlib
import os
from concurrent.futures import Future
from threading import Lock, RLock, Thread

_loaded: set[str] = set()  # sys.modules lists a module from the moment its import begins; this, once it has ended
_loading: dict[str, Future[None]] = {}
_deciding = Lock()  # event loops may run in several threads
# Two threads that import from both ends of a cycle get half-made modules, and fight for the interpreter meanwhile.
_one_at_a_time = RLock()


def is_loaded(*names: str) -> bool:
    """Tell whether `load` has imported all of them, so that importing them again is free."""
    return _loaded.issuperset(names)


async def load(*names: str) -> None:
    """Import modules in a thread, in this order; free from the second time on.

    Import them afterwards the usual way, inside the function that needs them: a dictionary lookup then, and typed.
    However many wait for a module, one thread imports it; it ends with the import, and cancelling who waits leaves it
    at work for the others. It is not of the loop's pool, so that no import waits behind file I/O.

    Raises:
        ImportError: as the import statement would; the next call tries again.

    """
    for name in names:
        if name not in _loaded:
            await asyncio.wrap_future(_begin(name))


def _begin(name: str) -> Future[None]:
    with _deciding:
        loading = _loading.get(name)
        if loading is None:
            loading = _loading[name] = Future()
            loading.set_running_or_notify_cancel()  # from here on nobody who waits can cancel it
            Thread(target=_import, args=(name, loading), name=f"import {name}").start()
        return loading


def _import(name: str, loading: Future[None]) -> None:
    try:
        with _one_at_a_time:
            importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is for those who wait
        del _loading[name]  # before they are told, so that the next call tries again
        loading.set_exception(error)
    else:
        _loaded.add(name)
        del _loading[name]
        loading.set_result(None)


def _in_child() -> None:
    """Forget the imports that wait for their turn: their threads are the parent's."""
    global _deciding  # noqa: PLW0603 - a lock that another thread of the parent held stays locked here
    _deciding = Lock()
    _loading.clear()
    _one_at_a_time.release()


# In a child of a process that is importing, that import would never end: fork before it or after it.
os.register_at_fork(before=_one_at_a_time.acquire, after_in_parent=_one_at_a_time.release, after_in_child=_in_child)
