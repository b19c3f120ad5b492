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
    settings = load(file=settings_file)
    container = Container(settings=settings)
    check(container)
    count = len(Graph(container).providers)
    logs.write_line(f"The container is in order: {count} providers, {len(_endpoints(settings))} endpoints.")
    return 0


def check(container: Container) -> None:
    """Raise what is wrong with a container as an error of the command line."""
    try:
        validate(container)
    except ContainerError as error:
        raise DriveError(Code.VALIDATION_ERROR, str(error)) from error


def _endpoints(settings: Settings) -> set[Endpoint]:
    names = [one.name for one in fields(settings) if one.name.endswith("_endpoint")]
    return {Endpoint.parse(getattr(settings, name)) for name in names}
