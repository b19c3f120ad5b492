"""`drive validate`."""

from dataclasses import fields
from pathlib import Path

from drive import logs
from drive.containers import Container
from drive.errors import Code, DriveError
from drive.lazy import ContainerError, Endpoint, Graph, validate
from drive.settings import Settings, load


def validate_container(settings_file: Path | None) -> int:
    """Say that the container is in order, or fail with all that is wrong with it. Opens and connects nothing."""
    from drive.worker_container import WorkerContainer  # which the check of `drive serve` has no part in

    settings = load(file=settings_file)
    container = WorkerContainer(settings=settings)
    check(container, importing=True)
    count = len(Graph(container).providers)
    logs.write_line(f"The container is in order: {count} providers, {len(_endpoints(settings))} endpoints.")
    return 0


def check(container: Container, *, importing: bool) -> None:
    """Raise what is wrong with a container as an error of the command line; see `validate` for `importing`."""
    try:
        validate(container, importing=importing)
    except ContainerError as error:
        raise DriveError(Code.VALIDATION_ERROR, str(error)) from error
    _check_certificates(container.settings())


def _check_certificates(settings: Settings) -> None:
    """Read the files of the gRPC server, where it is to be served."""
    if not settings.grpc_listen:
        return
    from drive.rpc.tls import ServerTls

    tls = ServerTls(settings.grpc_server_cert_file, settings.grpc_server_key_file, settings.grpc_client_ca_file)
    if problems := list(tls.problems()):
        raise DriveError(Code.VALIDATION_ERROR, "\n".join(problems))


def _endpoints(settings: Settings) -> set[Endpoint]:
    names = [one.name for one in fields(settings) if one.name.endswith("_endpoint")]
    return {Endpoint.parse(getattr(settings, name)) for name in names}
