import asyncio
import math
import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import (
    Effort,
    Summary,
    by_name,
    in_child,
    interleaved,
    interleaved_awaiting,
    paired_ratios,
    summary,
)

figures = st.floats(1e-6, 1e6)


class TestSummary:
    def test_an_odd_number_of_rounds(self) -> None:
        assert summary([5.0, 1.0, 4.0, 2.0, 3.0]) == Summary(median=3.0, low=2.0, high=4.0, rounds=5)

    def test_an_even_number_of_rounds(self) -> None:
        assert summary([4.0, 1.0, 3.0, 2.0]) == Summary(median=2.5, low=1.75, high=3.25, rounds=4)

    def test_one_round_has_no_spread(self) -> None:
        assert summary([7.0]) == Summary(median=7.0, low=7.0, high=7.0, rounds=1)

    def test_one_wild_round_in_five_moves_nothing(self) -> None:
        assert summary([1.0, 2.0, 3.0, 4.0, 1e9]) == summary([1.0, 2.0, 3.0, 4.0, 5.0])

    @given(st.lists(figures, min_size=1), st.randoms())
    def test_lies_within_the_samples_whatever_their_order(self, samples: list[float], random: Random) -> None:
        seen = summary(samples)
        assert min(samples) <= seen.low <= seen.median <= seen.high <= max(samples) or math.isclose(
            seen.low, seen.high, rel_tol=1e-12
        )
        random.shuffle(samples)
        assert summary(samples) == seen


class TestPairedRatios:
    def test_divides_round_by_round(self) -> None:
        assert paired_ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]

    def test_refuses_rounds_that_have_no_pair(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            paired_ratios([1.0, 2.0], [1.0])

    @given(st.lists(st.tuples(figures, figures, st.floats(0.01, 100.0)), min_size=1))
    def test_a_round_in_which_the_whole_machine_was_slow_counts_no_more(
        self, rounds: list[tuple[float, float, float]]
    ) -> None:
        quiet = paired_ratios([one for one, _, _ in rounds], [base for _, base, _ in rounds])
        noisy = paired_ratios([one * slow for one, _, slow in rounds], [base * slow for _, base, slow in rounds])
        assert noisy == pytest.approx(quiet)


class TestInterleaved:
    def test_each_side_comes_first_as_often_and_after_each_other_one(self) -> None:
        order: list[str] = []
        sides = {name: _recording(order, name) for name in "abc"}
        assert interleaved(sides, 6) == {"a": 1.0, "b": 1.0, "c": 1.0}
        assert "".join(order) == "abccabbcacbaacbbac"

    def test_gives_the_median_of_each_side(self) -> None:
        samples = iter([1.0, 9.0, 2.0])
        assert interleaved({"a": lambda: next(samples)}, 3) == {"a": 2.0}

    async def test_the_same_with_sides_that_are_awaited(self) -> None:
        order: list[str] = []

        async def side(name: str) -> float:
            await asyncio.sleep(0)
            order.append(name)
            return float(len(order))

        seen = await interleaved_awaiting({"a": lambda: side("a"), "b": lambda: side("b")}, 2)
        assert order == ["a", "b", "b", "a"]
        assert seen == {"a": 2.5, "b": 2.5}


def _recording(order: list[str], name: str) -> Callable[[], float]:
    def side() -> float:
        order.append(name)
        return 1.0

    return side


class TestInChild:
    def test_runs_in_a_fresh_process(self) -> None:
        assert in_child(os.getpid) not in {os.getpid(), in_child(os.getpid)}

    def test_what_the_function_prints_is_not_taken_for_its_result(self) -> None:
        assert in_child(print, "42") is None

    def test_the_process_keeps_what_it_compiles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        assert in_child(os.getenv, "PYTHONDONTWRITEBYTECODE") is None

    def test_says_why_it_failed(self) -> None:
        with pytest.raises(RuntimeError, match=r"listdir failed in its process(.|\n)*FileNotFoundError"):
            in_child(os.listdir, "/nowhere")


def test_by_name_turns_rounds_into_figures() -> None:
    assert by_name([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_a_quick_effort_does_little_of_everything() -> None:
    assert Effort(3).count(1000) == 1000
    assert Effort(3, is_quick=True).count(1000) == 20
    assert Effort(3, is_quick=True).count(10) == 2
