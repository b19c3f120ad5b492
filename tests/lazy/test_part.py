"""A Singleton whose class is imported when the first object is made."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dict, Object

from drive.lazy import Graph, Part, load_parts, override, validate
from drive.lazy import modules as modules_
from drive.lazy.validation import ContainerError

_ENGINE = """
import threading

IMPORTED_BY = threading.current_thread()

class Engine:
    power_kw: int
    __slots__ = ("power_kw",)

    def __init__(self, power_kw: int) -> None:
        self.power_kw = power_kw
"""
_CAR = """
class Car:
    def __init__(self, engine: object, *, extras: dict[str, object]) -> None:
        self.engine, self.extras = engine, extras
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give two modules that nothing has imported."""
    (tmp_path / "part_engine.py").write_text(_ENGINE)
    (tmp_path / "part_car.py").write_text(_CAR)
    (tmp_path / "part_broken.py").write_text("of_nobody")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("part_engine", "part_car", "part_broken"):
        sys.modules.pop(name, None)
        modules_._loaded.discard(name)


class Container(DeclarativeContainer):
    """A car and what is in it."""

    engine = Part[Any]("part_engine:Engine", power_kw=90)
    car = Part[Any]("part_car:Car", engine, extras=Dict(radio=Object("on")))


def imported() -> set[str]:
    return {"part_engine", "part_car"} & sys.modules.keys()


def test_nothing_is_imported_before_the_first_object_is_made() -> None:
    container = Container()
    assert (container.car.path, imported()) == ("part_car:Car", set())
    car = container.car()
    assert imported() == {"part_engine", "part_car"}
    assert (car.engine.power_kw, car.extras) == (90, {"radio": "on"})
    assert container.car() is car
    assert container.engine() is car.engine
    assert Container().car() is not car


async def test_what_it_needs_is_imported_in_a_thread() -> None:
    """With all that it depends on, at any depth; nothing is made for that."""
    await load_parts(Dict(car=Container().car))
    assert imported() == {"part_engine", "part_car"}
    assert sys.modules["part_engine"].IMPORTED_BY is not threading.current_thread()


async def test_what_it_is_given_to_call_later_is_not_imported() -> None:
    car = Part[Any]("part_car:Car", Container.engine.provider, extras=Dict())
    container = type("Later", (Container,), {"car": car})()
    await load_parts(container.car)
    assert imported() == {"part_car"}
    assert container.car().engine().power_kw == 90


async def test_an_empty_one_that_is_overridden_imports_nothing() -> None:
    container = type("Empty", (DeclarativeContainer,), {"part": Part[Any]()})()
    with override(container, part="replaced"):
        validate(container)
        await load_parts(container.part)
        assert container.part() == "replaced"


async def test_it_is_overridden_like_any_singleton() -> None:
    container = Container()
    car = container.car()
    with override(container, engine="electric"):
        assert (container.car() is car, car.engine) == (True, "electric")
        await load_parts(container.car)
    assert car.engine.power_kw == 90


def test_the_graph_names_it_by_its_class() -> None:
    part = Part[Any]("part_engine:Engine", power_kw=90)
    container = type("Anonymous", (DeclarativeContainer,), {"all": Dict(one=part)})()
    assert "Engine" in {Graph(container).name(provider) for provider in Graph(container).providers}
    assert imported() == set()


def problem_of(part: Part[Any], *, importing: bool) -> str:
    with pytest.raises(ContainerError) as caught:
        validate(type("Wrong", (DeclarativeContainer,), {"part": part})(), importing=importing)
    return str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (Part[Any]("part_engine:Engine", power=90), "Engine takes no argument 'power'. Did you mean 'power_kw'?"),
        (Part[Any]("part_engine:Motor"), "part_engine has no 'Motor'. Write package.module:Class"),
        (Part[Any]("part_absent:Engine"), "cannot be imported (ModuleNotFoundError). No module named 'part_absent'"),
        (Part[Any]("part_broken:Engine"), "part_broken cannot be imported (NameError). name 'of_nobody' is not"),
        (Part[Any](), "it is empty. Write Part('package.module:Class', …)"),
    ],
)
def test_what_is_wrong_is_told_by_validate(part: Part[Any], problem: str) -> None:
    assert problem in problem_of(part, importing=True)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (Part[Any]("part_engine:Motor"), "part_engine has no 'Motor'. Write package.module:Class"),
        (Part[Any]("part_engine:Engine("), "part_engine has no 'Engine('. Write package.module:Class"),
        (Part[Any]("part_engine: Engine"), "part_engine has no ' Engine'. Write package.module:Class"),
        (Part[Any]("..part_engine:Engine"), "there is no module '..part_engine'. Write package.module:Class"),
        (Part[Any]("part_engines:Engine"), "there is no module 'part_engines'. Did you mean part_engine?"),
        (Part[Any](), "it is empty."),
    ],
)
def test_names_are_checked_without_importing(part: Part[Any], problem: str) -> None:
    assert problem in problem_of(part, importing=False)
    assert imported() == set()


def test_what_is_imported_already_is_checked_whole() -> None:
    validate(Container(), importing=False)
    assert imported() == set()
    Container().engine()
    assert "takes no argument 'power'" in problem_of(Part[Any]("part_engine:Engine", power=90), importing=False)


@pytest.mark.parametrize("path", ["part_engine", "part_engine:", ":Engine", ""])
def test_a_path_that_names_no_class_is_refused_where_it_is_written(path: str) -> None:
    with pytest.raises(ValueError, match=r"Write package\.module:Class"):
        Part[Any](path)


def test_attributes_of_what_it_makes_are_checked_as_of_any_class() -> None:
    wrong = type("Wrong", (Container,), {"power": Container.engine.provided.power})
    with pytest.raises(ContainerError, match="there is no attribute 'power'"):
        validate(wrong())
