"""What clients see while a server is killed: what design promises of it, and that it is told."""

import json

import pytest

from bench.__main__ import main

KNOWN = ("details", "listing", "download")


def test_each_server_is_killed_and_only_what_must_fail_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Redis and ring fail nothing; pass, and PostgreSQL even more, make answers 503, with `Retry-After`."""
    assert main(["faults", "--quick", "--rounds", "1", "--seconds", "0.3", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    medians = {
        table["title"].partition(" is killed")[0]: {row["name"]: row["value"]["median"] for row in table["rows"]}
        for table in result["tables"]
    }
    for server in ("PostgreSQL", "Redis", "pass", "ring"):
        assert medians[server]["failed requests"] == medians[server]["answered 503"], server
        assert medians[server]["answered 503 without Retry-After"] == 0, server
        assert medians[server]["uploads lost"] == 0, server
    assert (medians["Redis"]["failed requests"], medians["ring"]["failed requests"]) == (0, 0)
    assert min(medians[server]["failed requests"] for server in ("PostgreSQL", "pass")) > 0
    answered = medians["Answered as ever meanwhile, by kind"]
    assert {kind: answered[f"pass: {kind}"] for kind in KNOWN} == dict.fromkeys(KNOWN, 100)
    assert answered["pass: unknown token"] < 100
    assert answered["PostgreSQL: unknown token"] == 100
