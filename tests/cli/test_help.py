"""What `drive` says of itself."""

import pytest

from drive.cli import main

COMMANDS = ["serve", "worker", "migrate", "validate", "graph", "jobs", "audit", "monitor", "pool", "demo", "peers"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_with_an_example_of_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    example = capsys.readouterr().out.rpartition("Example: ")[2]
    assert f"drive {command}" in example


def test_the_help_lists_all_commands_and_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "Example: drive demo" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith("    ")] == COMMANDS


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["serve", "--once"], ["demo", "--port", "70000"], ["peers", "--pass-port", "five"]]
)
def test_wrong_arguments_exit_with_2_and_say_what_is_right(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: drive")
