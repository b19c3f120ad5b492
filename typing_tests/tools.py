"""`override` changes no type, `validate` and `Graph` take any container."""

from typing import Any, assert_type

from drive.lazy import ContainerError, Graph, Problem, override, validate
from drive.proto.account_pb2 import Account, GetAccountRequest
from drive.proto.account_pb2_grpc import AccountServiceStub
from typing_tests.wiring import Container, Greeter, Settings


class FakeAccounts:
    """Has the one method that is called."""

    async def GetAccount(self, request: GetAccountRequest) -> Account:  # noqa: N802 - the wire names it
        """Answer without asking."""
        return Account(id=request.id)


container = Container()


def overriding_keeps_the_types() -> None:
    """By name or by provider; whoever asks the container still gets the declared type."""
    with override(container, accounts=FakeAccounts()) as overriding:
        assert_type(overriding, override)
        assert_type(container.accounts(), AccountServiceStub)
    with override(container, {container.accounts: FakeAccounts()}, settings=Settings()):
        assert_type(container.greeter(), Greeter)


@override(container, accounts=FakeAccounts())
def length_of(name: str, *, times: int = 1) -> int:
    """Is decorated, and not async."""
    return len(name) * times


@override(container, accounts=FakeAccounts())
async def nick_of(account_id: str) -> str:
    """Is decorated, and async."""
    return (await container.accounts().GetAccount(GetAccountRequest(id=account_id))).nick


async def a_decorated_function_keeps_its_signature() -> None:
    """Sync and async."""
    assert_type(length_of("a", times=2), int)
    assert_type(await nick_of("1"), str)
    length_of(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    length_of("a", 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await nick_of()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await length_of("a")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]


def a_wrong_override_is_refused() -> None:
    """The class in place of an instance, what is no container, replacements in a list."""
    override(Container, accounts=FakeAccounts())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    override("accounts", accounts=FakeAccounts())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    override(container, [FakeAccounts()])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def all_problems_are_in_the_error() -> None:
    """Each with its parts, for whoever shows them in another way."""
    try:
        validate(container)
    except ContainerError as error:
        assert_type(error.problems, list[Problem])
        assert_type([(one.path, one.what, one.hint) for one in error.problems], list[tuple[str, str, str]])
        error.problems[0].hint = ""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def validate_takes_an_instance_and_returns_nothing() -> None:
    """Whoever writes `if validate(…)` is told."""
    validate(Container)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    problems = validate(container)  # type: ignore[func-returns-value]
    assert_type(problems, None)


def the_graph_is_read_by_name() -> None:
    """As text, as names, as ways."""
    graph = Graph(container)
    assert_type(graph.mermaid(), str)
    assert_type(graph.names, dict[str, Any])
    assert_type(graph.path(container.accounts), str)
    assert_type(graph.cycles(), list[list[Any]])
    Graph(Container)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    graph.to_mermaid()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def a_misspelt_provider_is_not_refused() -> None:
    """dependency-injector types whatever a container may have. It fails when it is run."""
    assert_type(container.acounts(), Any)
