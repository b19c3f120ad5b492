"""Who may call: tokens, certificates, and what is open to all."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from rpc_support import Rpc, connected, pem, refused, started
from structlog.testing import capture_logs
from support.rows import Rows, add_files
from support.waiting import eventually

from drive.containers import Container
from drive.proto import file_pb2 as wire
from drive.rpc.tls import ServerTls

FIRST, SECOND = "first-token-of-more-than-32-characters", "second-token-of-more-than-32-characters"
REQUEST = wire.GetFileRequest(id="file-1")


@pytest_asyncio.fixture(autouse=True)
async def files(rows: Rows) -> None:
    """Add file-1."""
    await add_files(rows, 1)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with two authorities, and certificates of a server and of callers that they have signed."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)

    new_key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    for authority in ("ca", "other-ca"):
        openssl(f"{new_key} -subj /CN={authority} -keyout {authority}.key -out {authority}.pem")
    for name, authority in (("localhost", "ca"), ("caller", "ca"), ("stranger", "other-ca")):
        signed = f"-CA {authority}.pem -CAkey {authority}.key -addext basicConstraints=CA:FALSE"
        names = f"-subj /CN={name} -addext subjectAltName=DNS:{name} -keyout {name}.key -out {name}.pem"
        openssl(f"{new_key} {signed} {names}")
    return folder


def bearer(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


@pytest_asyncio.fixture
async def guarded(container: Container) -> AsyncIterator[Rpc]:
    """Give a client of a server that asks for one of two tokens, and describes itself."""
    server = started(container, tokens=[FIRST, SECOND], with_reflection=True)
    async with server as (_, url), connected(url) as client:
        yield client


class TestTokens:
    """Bearer tokens, of which several are valid while they are changed."""

    @pytest.mark.parametrize("token", [FIRST, SECOND])
    async def test_each_of_them_is_let_in(self, guarded: Rpc, token: str) -> None:
        assert (await guarded.files.GetFile(REQUEST, metadata=bearer(token))).id == "file-1"
        lower = (("authorization", f"bearer  {token}"),)
        assert (await guarded.files.GetFile(REQUEST, metadata=lower)).id == "file-1"

    @pytest.mark.parametrize(
        "metadata",
        [
            (),
            bearer(""),
            bearer("wrong"),
            bearer(FIRST[:-1]),
            bearer(FIRST + "x"),
            bearer(f"{FIRST},{SECOND}"),
            bearer(FIRST.upper()),
            (("authorization", FIRST),),
            (("authorization", f"Basic {FIRST}"),),
            (("x-authorization", f"Bearer {FIRST}"),),
            (("authorization", "Bearer wrong"), ("authorization", f"Bearer {FIRST}")),
        ],
    )
    async def test_nothing_else_is(self, guarded: Rpc, metadata: tuple[tuple[str, str], ...]) -> None:
        calls: list[Awaitable[object]] = [
            guarded.files.GetFile(REQUEST, metadata=metadata),
            guarded.files.DeleteFile(wire.DeleteFileRequest(id="file-1"), metadata=metadata),
            guarded.references.HasFileReferences(wire.HasFileReferencesRequest(file_id="file-1"), metadata=metadata),
        ]
        for call in calls:
            code, message = await refused(call)
            assert code is StatusCode.UNAUTHENTICATED
            assert "authorization: Bearer" in message
            assert FIRST not in message
        assert (await guarded.files.GetFile(REQUEST, metadata=bearer(FIRST))).id == "file-1"

    async def test_methods_that_do_not_exist_are_not_told_from_others(self, guarded: Rpc) -> None:
        unknown = guarded.method("/proto.FileService/Nothing")
        assert (await refused(unknown(b"")))[0] is StatusCode.UNAUTHENTICATED
        assert (await refused(unknown(b"", metadata=bearer(FIRST))))[0] is StatusCode.UNIMPLEMENTED

    async def test_the_health_is_for_everybody_and_the_description_is_not(self, guarded: Rpc) -> None:
        answer = await guarded.health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await described(guarded)
        assert raised.value.code() is StatusCode.UNAUTHENTICATED
        assert "proto.FileService" in await described(guarded, bearer(SECOND))


async def described(rpc: Rpc, metadata: tuple[tuple[str, str], ...] = ()) -> set[str]:
    """Ask a server what it serves."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    found = [answer async for answer in rpc.reflection.ServerReflectionInfo(iter([request]), metadata=metadata)]
    return {service.name for answer in found for service in answer.list_services_response.service}


async def test_the_description_names_what_is_served_and_is_off_unless_asked_for(container: Container, rpc: Rpc) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await described(rpc)
    assert raised.value.code() is StatusCode.UNIMPLEMENTED
    other = started(Container(settings=container.settings()), with_reflection=True)
    async with other as (_, url), connected(url) as client:
        assert await described(client) == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "proto.FileReferenceService",
            "proto.FileService",
        }


class TestCertificates:
    """TLS, and callers that must show a certificate."""

    @pytest_asyncio.fixture
    async def url(self, container: Container, certificates: Path) -> AsyncIterator[str]:
        tls = ServerTls(certificates / "localhost.pem", certificates / "localhost.key", certificates / "ca.pem")
        assert list(tls.problems()) == []
        async with started(container, tls=tls) as (_, url):
            yield url

    def credentials(self, folder: Path, name: str | None = "caller") -> grpc.ChannelCredentials:
        own = (pem(folder, f"{name}.key"), pem(folder, f"{name}.pem")) if name else (None, None)
        return grpc.ssl_channel_credentials(pem(folder, "ca.pem"), *own)

    async def test_a_caller_with_a_certificate_is_let_in(self, url: str, certificates: Path) -> None:
        assert url.startswith("https://localhost:")
        async with connected(url, self.credentials(certificates)) as rpc:
            assert (await rpc.files.GetFile(REQUEST)).id == "file-1"

    @pytest.mark.parametrize("name", [None, "stranger"])
    async def test_one_without_or_with_a_strangers_is_not(self, url: str, certificates: Path, name: str | None) -> None:
        async with connected(url, self.credentials(certificates, name)) as rpc:
            assert (await refused(rpc.files.GetFile(REQUEST)))[0] is StatusCode.UNAVAILABLE
            assert (await refused(rpc.health.Check(health_pb2.HealthCheckRequest())))[0] is StatusCode.UNAVAILABLE

    async def test_plain_text_is_not(self, url: str) -> None:
        async with connected(url) as rpc:
            assert (await refused(rpc.files.GetFile(REQUEST)))[0] is StatusCode.UNAVAILABLE

    async def test_with_tokens_both_are_needed(self, container: Container, certificates: Path) -> None:
        tls = ServerTls(certificates / "localhost.pem", certificates / "localhost.key", certificates / "ca.pem")
        async with started(container, tls=tls, tokens=[FIRST]) as (_, url):
            async with connected(url, self.credentials(certificates)) as rpc:
                assert (await refused(rpc.files.GetFile(REQUEST)))[0] is StatusCode.UNAUTHENTICATED
                assert (await rpc.files.GetFile(REQUEST, metadata=bearer(FIRST))).id == "file-1"
            async with connected(url, self.credentials(certificates, None)) as rpc:
                assert (await refused(rpc.files.GetFile(REQUEST, metadata=bearer(FIRST))))[0] is StatusCode.UNAVAILABLE

    async def test_with_tokens_alone_the_server_alone_shows_a_certificate(
        self, container: Container, certificates: Path
    ) -> None:
        tls = ServerTls(certificates / "localhost.pem", certificates / "localhost.key")
        credentials = self.credentials(certificates, None)
        async with started(container, tls=tls, tokens=[FIRST]) as (_, url), connected(url, credentials) as rpc:
            assert (await rpc.files.GetFile(REQUEST, metadata=bearer(FIRST))).id == "file-1"
            assert (await refused(rpc.files.GetFile(REQUEST)))[0] is StatusCode.UNAUTHENTICATED

    def test_files_that_are_wrong_are_named(self, certificates: Path, tmp_path: Path) -> None:
        cert, key, absent = certificates / "localhost.pem", certificates / "localhost.key", tmp_path / "absent.pem"
        garbage = tmp_path / "garbage.pem"
        garbage.write_text("no certificate")
        locked = tmp_path / "locked.key"
        command = ["openssl", "ec", "-in", str(key), "-aes128", "-passout", "pass:secret", "-out", str(locked)]
        subprocess.run(command, check=True, capture_output=True)
        wrong = [
            ServerTls(absent, key),
            ServerTls(cert, absent),
            ServerTls(cert, certificates / "caller.key"),
            ServerTls(garbage, key),
            ServerTls(cert, locked),
            ServerTls(cert, key, absent),
            ServerTls(cert, key, garbage),
        ]
        for tls in wrong:
            (problem,) = tls.problems()
            assert problem.startswith("The gRPC server cannot use /")
            assert problem.endswith(".")


@pytest.mark.parametrize(("tokens", "is_warned"), [([], True), ([FIRST], False)])
async def test_the_log_says_that_nobody_is_asked_who_they_are(
    container: Container, tokens: list[str], is_warned: bool
) -> None:
    with capture_logs() as logs:
        async with started(container, tokens=tokens) as (_, url):
            warnings = [line for line in logs if line["event"] == "gRPC without authentication"]
    assert [line["url"] for line in warnings] == [url] * is_warned


async def test_whoever_watches_the_health_takes_no_place_from_callers(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no token, and lasts as long as one likes."""
    monkeypatch.setattr("drive.rpc.health._MOST_WATCHERS", 2)
    async with started(container) as (_, url), connected(url) as anybody:
        watches = []
        for _ in range(2):  # one after the other, as they may overtake each other on their way
            watches.append(anybody.health.Watch(health_pb2.HealthCheckRequest()))
            assert (await watches[-1].read()).status == health_pb2.HealthCheckResponse.SERVING
        third = anybody.health.Watch(health_pb2.HealthCheckRequest())
        assert (await refused(third.read()))[0] is StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()

        async def has_a_place() -> bool:
            try:
                return bool(await anybody.health.Watch(health_pb2.HealthCheckRequest()).read())
            except grpc.aio.AioRpcError:
                return False

        await eventually(has_a_place)
