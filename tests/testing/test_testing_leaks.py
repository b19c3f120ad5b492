"""What a test leaves behind is found and named. Each of these suites runs in an interpreter of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from drive.lazy import Channels, Endpoint, Lazy, channel, load, once
from drive.testing import LeakError, leaks, loops, no_leaks

HEAD = """
    import asyncio, socket, unittest
    import pytest
    from dependency_injector.containers import DeclarativeContainer
    from dependency_injector.providers import Object, Singleton
    from drive.lazy import Channels, Once, Stub, lifespan, override
    from drive.proto.account_pb2 import Account, GetAccountRequest
    from drive.proto.account_pb2_grpc import AccountServiceStub
    from drive.testing import fake, leaks, loops, no_leaks

    leaks._GRACE_S = loops._GRACE_S = 0.2  # else each leak here would cost a second

    async def open_pool():
        return object()

    async def close_pool(pool):
        pass

    class Container(DeclarativeContainer):
        number = Object(1)
        channels = Singleton(Channels)
        url = Object("http://127.0.0.1:1")
        accounts = Stub("drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint=url)
        pool = Once(open_pool, close=close_pool)

    container = Container()

    async def forever():
        await asyncio.Event().wait()

    def connected():
        with socket.create_server(("127.0.0.1", 0)) as server:
            return socket.create_connection(server.getsockname()), server.accept()[0]
"""

LEAKS = """
    def test_override():
        override(container, number=2).__enter__()

    def test_next():
        assert container.number() == 1

    async def test_channel(peers):
        url = await peers.serve(fake(AccountServiceStub, GetAccount=Account(id="1")))
        await Container(url=url).accounts().GetAccount(GetAccountRequest())

    async def test_once():
        await container.pool()()

    async def test_task():
        test_task.kept = asyncio.create_task(forever(), name="counting sheep")

    def test_connection():
        test_connection.kept = connected()

    async def test_clean(peers):
        url = await peers.serve(fake(AccountServiceStub, GetAccount=Account(id="1")))
        async with lifespan(Container(url=url)) as container:
            await container.accounts().GetAccount(GetAccountRequest())
            await container.pool()()
            with override(container, number=2):
                await asyncio.create_task(asyncio.sleep(0))
"""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what is being closed as long as the suites do."""
    monkeypatch.setattr(leaks, "_GRACE_S", 0.2)
    monkeypatch.setattr(loops, "_GRACE_S", 0.2)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give a folder for a suite whose asynchronous tests need no marker."""
    pytester.makeini(
        """
        [pytest]
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = function
        filterwarnings = error
        addopts = -p no:cacheprovider
        """
    )
    return pytester


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "xdist"])
def test_each_leak_fails_its_test_alone(suite: pytest.Pytester, options: list[str]) -> None:
    """The tests themselves pass; what fails is their teardown, with what was left and what to write."""
    suite.makepyfile(HEAD + LEAKS)
    ran = suite.runpytest_subprocess(*options)
    ran.assert_outcomes(passed=7, errors=5)
    ran.stdout.fnmatch_lines_random(
        [
            "*override: <override of number> is in force. Write `with override(?):`*",
            "*channel: http://127.0.0.1:*, opened by AccountService, is open. Close its container:*",
            "*once: the value of open_pool is open. Close its container:*",
            "*task: counting sheep (forever at *test_each_leak_fails_its_test_alone.py:*) is not over. Await it*",
            "*connection: TCP 127.0.0.1:* - 127.0.0.1:* is open. Close what opened it*",
            '*If that is meant: @pytest.mark.leaks("override") or no_leaks("override").*',
        ]
    )


def test_a_failure_of_the_test_s_own_is_not_masked(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        HEAD
        + """
    def test_fails():
        override(container, number=2).__enter__()
        raise ValueError("for a reason of its own")

    def test_next():
        assert container.number() == 1
    """
    )
    ran = suite.runpytest_subprocess()
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["*ValueError: for a reason of its own", "*leaks*", "*override: <override of number>*"])


def test_a_marker_allows_what_it_names_and_no_more(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        HEAD
        + """
    @pytest.mark.leaks("override")
    def test_named():
        override(container, number=2).__enter__()

    def test_ended_all_the_same():
        assert container.number() == 1

    @pytest.mark.leaks
    def test_all():
        test_all.kept = connected()
        override(container, number=2).__enter__()

    @pytest.mark.leaks("override")
    def test_another():
        test_another.kept = connected()

    @pytest.mark.leaks("overide")
    def test_misspelled():
        pass
    """
    )
    ran = suite.runpytest_subprocess("--strict-markers")
    ran.assert_outcomes(passed=4, errors=2)
    ran.stdout.fnmatch_lines(["*connection: TCP*", "*ValueError: There is no kind of leak 'overide'. Did you mean*"])


def test_what_a_fixture_of_a_wider_scope_keeps_is_no_leak(suite: pytest.Pytester) -> None:
    """Neither where it is asked for as a parameter nor where the test asks for it at last."""
    suite.makepyfile(
        HEAD
        + """
    import pytest_asyncio

    @pytest.fixture(scope="module")
    def pair():
        one, other = connected()
        with one, other, override(container, number=2):
            yield one

    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def sheep():
        counting = asyncio.create_task(forever())
        yield counting
        counting.cancel()

    def test_by_name(pair, sheep):
        assert container.number() == 2

    def test_again(pair, sheep):
        assert container.number() == 2

    @pytest.fixture(scope="module")
    def late():
        one, other = connected()
        with one, other:
            yield

    @pytest_asyncio.fixture(scope="module", loop_scope="session")
    async def late_sheep():
        counting = asyncio.create_task(forever())
        yield counting
        counting.cancel()

    @pytest.mark.asyncio(loop_scope="session")
    async def test_other_loop():
        pass

    def test_at_last(request):
        request.getfixturevalue("late")

    def test_at_last_and_asynchronous(request):
        request.getfixturevalue("late_sheep")
    """
    )
    suite.runpytest_subprocess().assert_outcomes(passed=5)


def test_what_a_fixture_of_a_wider_scope_opens_later_is_no_leak(suite: pytest.Pytester) -> None:
    """Its container opens at the first use, in the midst of a test, and is closed on the same loop."""
    suite.makepyfile(
        HEAD
        + """
    import pytest_asyncio
    from drive.testing import serving

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def shared():
        async with serving(fake(AccountServiceStub, GetAccount=Account(id="1"))) as url:
            async with lifespan(Container(url=url)) as container:
                yield container

    async def test_first(shared):
        await shared.accounts().GetAccount(GetAccountRequest())
        await shared.pool()()
        test_first.kept = asyncio.create_task(forever())

    @pytest.mark.asyncio(loop_scope="function")
    async def test_another_loop(shared):
        test_another_loop.kept = asyncio.create_task(forever(), name="counting sheep")

    @pytest.mark.asyncio(loop_scope="function")
    async def test_a_container_of_its_own(shared):
        await Container().pool()()
    """
    )
    ran = suite.runpytest_subprocess()
    ran.assert_outcomes(passed=3, errors=2)
    ran.stdout.fnmatch_lines(["*task: counting sheep*", "*once: the value of open_pool is open*"])


def test_a_task_on_a_shared_loop_is_found(suite: pytest.Pytester) -> None:
    """The loop is not closed at the end of the test; the next test is not told of it again."""
    suite.makepyfile(
        HEAD
        + """
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_task():
        test_task.kept = asyncio.create_task(forever(), name="counting sheep")

    async def test_next():
        pass
    """
    )
    ran = suite.runpytest_subprocess()
    ran.assert_outcomes(passed=2, errors=1)
    ran.stdout.fnmatch_lines(["*ERROR at teardown of test_task*", "*task: counting sheep*"])


def test_test_cases_of_unittest_are_watched(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        HEAD
        + """
    class Plain(unittest.TestCase):
        def test_override(self):
            override(container, number=2).__enter__()

        def test_connection(self):
            Plain.kept = connected()

        def test_clean(self):
            assert container.number() == 1

    class Asynchronous(unittest.IsolatedAsyncioTestCase):
        async def test_task(self):
            Asynchronous.kept = asyncio.create_task(forever(), name="counting sheep")

        async def test_once(self):
            await container.pool()()

        async def test_clean(self):
            async with lifespan(Container()) as container:
                await container.pool()()
    """
    )
    ran = suite.runpytest_subprocess()
    ran.assert_outcomes(passed=6, errors=4)
    ran.stdout.fnmatch_lines_random(
        [
            "*override: <override of number>*",
            "*connection: TCP*",
            "*task: counting sheep*",
            "*once: the value of open_p*",
        ]
    )


def test_unittest_alone_can_use_it(suite: pytest.Pytester) -> None:
    """Without pytest, which is not imported."""
    script = suite.makepyfile(
        HEAD.replace("    import pytest\n", "    import sys\n")
        + """
    from drive.testing import channel_log, serving

    class Tests(unittest.IsolatedAsyncioTestCase):
        async def test_first_call_opens(self):
            accounts = fake(AccountServiceStub, GetAccount=Account(id="1"))
            async with no_leaks():
                with channel_log() as log:
                    async with serving(accounts) as url, lifespan(Container(url=url)) as container:
                        log.assert_nothing_opened()
                        await container.accounts().GetAccount(GetAccountRequest())
                    log.assert_opened_once(url)

        async def test_leak(self):
            async with no_leaks():
                self.kept = asyncio.create_task(forever(), name="counting sheep")

        def test_no_pytest(self):
            assert "pytest" not in sys.modules

    unittest.main()
    """
    )
    ran = suite.runpython(script)
    assert ran.ret == 1
    ran.stderr.fnmatch_lines(
        ["*: test_leak*", "*LeakError: Left behind:", "*task: counting sheep*", "Ran 3 tests*", "*=1)"]
    )


def connected(path: str) -> socket.socket:
    """Connect to a unix socket."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """Give where something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_a_block_is_told_what_it_left(address: tuple[str, int]) -> None:
    with pytest.raises(LeakError, match="connection: TCP"), no_leaks():
        left = socket.create_connection(address)
    left.close()


def test_a_unix_connection_is_named_after_its_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(LeakError, match=f"connection: unix client - {path}"), no_leaks():
            client = connected(path)
        client.close()


def test_pairs_and_listeners_are_no_connections() -> None:
    """An event loop wakes itself through a pair, which it may keep."""
    with no_leaks():
        kept = [*socket.socketpair(), socket.create_server(("127.0.0.1", 0))]
    for one in kept:
        one.close()


def test_a_block_that_fails_says_so_and_notes_what_it_left(address: tuple[str, int]) -> None:
    left: list[socket.socket] = []

    def fail() -> None:
        left.append(socket.create_connection(address))
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own") as raised, no_leaks():
        fail()
    left[0].close()
    assert "connection: TCP" in raised.value.__notes__[0]


def test_what_is_allowed_may_stay(address: tuple[str, int]) -> None:
    with no_leaks("connection"):
        left = socket.create_connection(address)
    left.close()


def test_what_is_closed_a_moment_later_is_no_leak(address: tuple[str, int]) -> None:
    """As by another thread, such as gRPC's."""
    left: list[socket.socket] = []
    looked = threading.Event()

    def close() -> None:
        looked.wait()
        left[0].close()

    closing = threading.Thread(target=close)
    with no_leaks():
        left.append(socket.create_connection(address))
        closing.start()
        looked.set()
    closing.join()


async def test_a_task_that_is_about_to_end_is_no_leak() -> None:
    async with no_leaks():
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
    assert task.done()


async def test_blocks_nest() -> None:
    """What the inner one was told of is the inner one's alone where it is over by then."""
    async with no_leaks():
        with pytest.raises(LeakError, match="counting sheep"):
            async with no_leaks():
                task = asyncio.create_task(asyncio.Event().wait(), name="counting sheep")
        task.cancel()


@pytest.mark.leaks("task")
def test_what_asyncio_run_cancels_is_found() -> None:
    kept = []

    async def main() -> None:
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="counting sheep"))

    with pytest.raises(LeakError, match="task: counting sheep"), no_leaks():
        asyncio.run(main())


def test_a_task_that_was_cancelled_when_its_loop_closes_is_no_leak() -> None:
    async def clean_up_at_last() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(clean_up_at_last())
        await asyncio.sleep(0)
        task.cancel()

    with no_leaks():
        asyncio.run(main())


def test_what_was_left_on_a_loop_that_is_over_is_not_kept_alive() -> None:
    async def open_() -> str:
        return "value"

    async def close(_value: str) -> None:
        """Do nothing."""

    value, channels = Lazy(open_, close=close), Channels()

    async def main() -> None:
        await load(*Channels.modules)
        await value()
        channels.open(Endpoint.parse("http://127.0.0.1:1"), "Some")

    both = r"(?s)channel: http://127.0.0.1:1, opened by Some.*once: the value of open_"
    with pytest.raises(LeakError, match=both), no_leaks():
        asyncio.run(main())
    assert value not in once.open_values
    assert not [one for one in channel.open_channels if str(one.endpoint) == "http://127.0.0.1:1"]


def test_a_runner_is_left_as_it_was() -> None:
    run, close = asyncio.Runner.run, asyncio.Runner.close
    with no_leaks(), no_leaks():
        pass
    assert (asyncio.Runner.run, asyncio.Runner.close) == (run, close)
