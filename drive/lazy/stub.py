"""Generated gRPC stubs that open their channel at the first call."""

import importlib
from asyncio import get_running_loop
from collections.abc import Collection
from typing import Any, TypeVar, overload

from dependency_injector import providers

from drive.lazy.call import DeferredCall
from drive.lazy.channel import OpenChannel
from drive.lazy.channels import Channels
from drive.lazy.endpoint import Endpoint, EndpointError
from drive.lazy.modules import is_loaded, load
from drive.lazy.retrying import Bound, timeout_of, with_timeout

T = TypeVar("T")


class Stub(providers.Singleton[T]):
    """A provider of one lazy stub per container, typed as the generated async stub.

        accounts: Stub[AccountServiceStub] = Stub(
            "drive.proto.account_pb2_grpc:AccountServiceStub", channels, endpoint="http://127.0.0.1:5001"
        )

    Nothing is imported and nothing opened until a method is called: not by defining the provider, nor by building the
    stub, nor by holding `container.accounts().GetAccount`. `timeout_s` is the deadline of calls that give none.

    Calls with one request are sent again, within their deadline, if the server refused them unprocessed. `idempotent`
    names the methods that may also be sent again where the server was unavailable and may have processed them.
    """

    @overload
    def __init__(self) -> None: ...

    @overload
    def __init__(
        self,
        path: str,
        channels: providers.Provider[Channels],
        *,
        endpoint: providers.Provider[str] | str,
        timeout_s: providers.Provider[float] | float | None = None,
        idempotent: Collection[str] = (),
    ) -> None: ...

    def __init__(
        self,
        path: str | None = None,
        channels: providers.Provider[Channels] | None = None,
        *,
        endpoint: providers.Provider[str] | str = "",
        timeout_s: providers.Provider[float] | float | None = None,
        idempotent: Collection[str] = (),
    ) -> None:
        if isinstance(idempotent, str):
            raise TypeError(f"idempotent={idempotent!r} is a text. Write idempotent=[{idempotent!r}].")
        if path is None:  # dependency-injector copies providers by building an empty one first
            super().__init__()
        else:
            quacking_like_t: Any = LazyStub
            # Each argument takes memory twice, in the container's class and in the container: this one is rarely there.
            options = {"idempotent": tuple(idempotent)} if idempotent else {}
            super().__init__(quacking_like_t, path, channels, endpoint, timeout_s, **options)


class LazyStub:
    """Quacks like the generated stub; each method is made when it is first asked for, and kept in `__dict__`."""

    def __init__(
        self, path: str, channels: Channels, endpoint: str, timeout_s: float | None, idempotent: tuple[str, ...] = ()
    ) -> None:
        try:
            parsed = Endpoint.parse(endpoint)
        except EndpointError as error:
            raise EndpointError(f"{path}: {error}") from error
        self.__lazy__ = _Source(path, channels, parsed, timeout_s, idempotent)

    def __getattr__(self, name: str) -> "_Method":
        if name.startswith("_"):
            raise AttributeError(name)  # copying and pickling ask for such names; no rpc has one
        method = _Method(self.__lazy__, name)
        self.__dict__[name] = method
        return method

    def __copy__(self) -> "LazyStub":
        return self

    def __deepcopy__(self, _memo: object) -> "LazyStub":
        return self  # with a copy of its channels, it would open others, that nobody closes

    def __repr__(self) -> str:
        return f"<lazy {self.__lazy__.class_name} at {self.__lazy__.endpoint}>"


class _Source:
    """What the methods of one stub share: where the generated class is, and how to reach the service."""

    __slots__ = ("_channels", "_path", "endpoint", "idempotent", "timeout_s")

    def __init__(
        self, path: str, channels: Channels, endpoint: Endpoint, timeout_s: float | None, idempotent: tuple[str, ...]
    ) -> None:
        self._path = path
        self._channels = channels
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.idempotent = idempotent

    @property
    def class_name(self) -> str:
        """The name of the generated class."""
        return self._path.partition(":")[2]

    @property
    def service(self) -> str:
        """The service's name, as logs show it."""
        return self.class_name.removesuffix("Stub")

    @property
    def _module(self) -> str:
        return self._path.partition(":")[0]

    def is_loaded(self) -> bool:
        """Tell whether `bind` would import nothing."""
        return is_loaded(*Channels.modules, self._module)

    async def load(self) -> None:
        """Import gRPC and the generated module in a thread."""
        await load(*Channels.modules, self._module)

    async def connect(self) -> None:
        """Open the channel, and wait until it is connected."""
        await self.load()
        await self._channels.open(self.endpoint, self.service).grpc_channel.channel_ready()

    def bind(self, name: str) -> tuple[OpenChannel, Any]:
        """Return the open channel and the generated stub's multicallable of that name.

        Raises:
            AttributeError: the service has no such method, and the message names those that it has; or the module has
                no such service.

        """
        module = importlib.import_module(self._module)
        generated = getattr(module, self.class_name, None)
        if generated is None:  # before a channel is opened for it
            raise AttributeError(
                f"{self._module} has no class {self.class_name!r}, which a Stub names. `validate` tells so before."
            )
        channel = self._channels.open(self.endpoint, self.service)
        stub = channel.stubs.get(self._path)
        if stub is None:
            stub = channel.stubs[self._path] = generated(channel.grpc_channel)
        multicallable = vars(stub).get(name)
        if multicallable is None:
            raise AttributeError(
                f"{self.service} has no method {name!r}; it has {', '.join(sorted(vars(stub)))}.", name=name
            )
        return channel, multicallable


class _Method:
    """One rpc of a lazy stub. Once bound to an open channel, a call goes straight to the generated multicallable."""

    __slots__ = ("_bound", "_name", "_source")

    def __init__(self, source: _Source, name: str) -> None:
        self._source = source
        self._name = name
        self._bound: Bound | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Start the call, as the generated stub does; the very first one also imports gRPC and opens the channel."""
        bound = self._bound
        if bound is None or bound.loop is not get_running_loop():
            if bound is None and not self._source.is_loaded():
                return self._defer(args, kwargs)
            bound = self._bind()
        return bound.start(bound, args, kwargs)

    def __repr__(self) -> str:
        return f"<lazy rpc {self._source.service}.{self._name} at {self._source.endpoint}>"

    def unbind(self, channel: OpenChannel) -> None:
        """Let go of a channel that is being closed: the next call opens another."""
        if self._bound is not None and self._bound.channel is channel:
            self._bound = None

    def _defer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> DeferredCall:
        def start(left_s: float | None) -> Any:
            bound = self._bind()
            return bound.start(bound, *with_timeout(args, kwargs, left_s))

        timeout_s = timeout_of(args, kwargs)
        return DeferredCall(self._source.load, start, self._source.timeout_s if timeout_s is None else timeout_s)

    def _bind(self) -> Bound:
        channel, multicallable = self._source.bind(self._name)
        channel.used_by(self)
        is_idempotent = self._name in self._source.idempotent
        bound = Bound(channel, multicallable, self._source.timeout_s, is_idempotent=is_idempotent)
        self._bound = bound  # at once: loops may run in several threads
        return bound
