import asyncio
import sys
import threading
from pathlib import Path

import pytest
from lazy_support import Gate, run_script, steps, until

from drive.lazy import load
from drive.lazy.modules import is_loaded


async def test_the_event_loop_runs_on_while_a_module_is_imported(gate: Gate) -> None:
    loading = asyncio.create_task(load(gate.name))
    await until(lambda: len(gate.threads) == 1)
    await steps(100)
    assert not loading.done()
    assert not is_loaded(gate.name)  # though sys.modules has it already
    gate.open()
    await loading
    assert is_loaded(gate.name)
    assert gate.threads != [threading.current_thread().name]


async def test_however_many_wait_one_thread_imports(gate: Gate) -> None:
    waiters = [asyncio.create_task(load(gate.name)) for _ in range(1000)]
    await until(lambda: len(gate.threads) == 1)
    assert sum(thread.name == f"import {gate.name}" for thread in threading.enumerate()) == 1
    gate.open()
    await asyncio.gather(*waiters)
    assert len(gate.threads) == 1


async def test_cancelling_those_who_wait_leaves_the_import_at_work_for_the_others(gate: Gate) -> None:
    first, second, third = (asyncio.create_task(load(gate.name)) for _ in range(3))
    await until(lambda: len(gate.threads) == 1)
    first.cancel()
    third.cancel()
    await asyncio.wait([first, third])
    assert first.cancelled()
    gate.open()
    await second
    assert is_loaded(gate.name)
    assert len(gate.threads) == 1


async def test_an_import_error_is_passed_on_to_all_who_wait_and_the_next_call_tries_again(gate: Gate) -> None:
    gate.failures.append(ImportError("it needs something that is not installed"))
    waiters = [asyncio.create_task(load(gate.name)) for _ in range(3)]
    await until(lambda: len(gate.threads) == 1)
    gate.open()
    for error in await asyncio.gather(*waiters, return_exceptions=True):
        assert isinstance(error, ImportError)
        assert "not installed" in str(error)
    assert not is_loaded(gate.name)
    await load(gate.name)
    assert is_loaded(gate.name)


async def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        await load("json", "no_such_module")
    assert is_loaded("json")


async def test_whatever_else_a_module_raises_is_passed_on(gate: Gate) -> None:
    gate.failures.append(ValueError("wrong version"))
    gate.open()
    with pytest.raises(ValueError, match="wrong version"):
        await load(gate.name)


async def test_nothing_is_left_once_a_module_is_loaded(gate: Gate) -> None:
    gate.open()
    await load(gate.name)
    await until(lambda: not any(thread.name.startswith("import ") for thread in threading.enumerate()))
    await load(gate.name)
    assert len(gate.threads) == 1


async def test_two_modules_are_not_imported_at_the_same_time(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that import from both ends of a cycle would get half-made modules."""
    monkeypatch.delitem(sys.modules, "small_module", raising=False)
    (tmp_path / "small_module.py").touch()
    large = asyncio.create_task(load(gate.name))
    await until(lambda: len(gate.threads) == 1)
    small = asyncio.create_task(load("small_module"))
    await until(lambda: any(thread.name == "import small_module" for thread in threading.enumerate()))
    assert "small_module" not in sys.modules
    gate.open()
    await asyncio.gather(large, small)


async def test_event_loops_in_several_threads_share_one_import(gate: Gate) -> None:
    others = [asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(load(gate.name)))) for _ in range(3)]
    await until(lambda: len(gate.threads) == 1)
    gate.open()
    await asyncio.gather(load(gate.name), *others)
    assert len(gate.threads) == 1


@pytest.mark.leaks("task")
async def test_a_loop_that_ends_while_it_waits_leaves_the_import_for_the_next_one(gate: Gate) -> None:
    async def give_up() -> None:
        loading = asyncio.create_task(load(gate.name))
        await until(lambda: len(gate.threads) == 1)
        assert not loading.done()

    await asyncio.to_thread(lambda: asyncio.run(give_up()))
    gate.open()
    await load(gate.name)
    assert len(gate.threads) == 1


def test_importing_the_framework_imports_neither_grpc_nor_protobuf() -> None:
    printed = run_script(
        "import sys, drive.lazy; print([name for name in sys.modules if name.startswith(('grpc', 'google'))])"
    )
    assert printed == "[]\n"
