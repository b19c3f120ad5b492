import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import summary
from bench.tables import Goal, Row, Table, compared, limit, number, text

ROUNDS = {"ours": [10.0, 20.0, 30.0], "theirs": [20.0, 80.0, 90.0]}


class TestCompared:
    def test_a_row_for_each_name_with_its_ratio_to_the_base(self) -> None:
        ours, theirs = compared(ROUNDS, "ours", "ns", notes={"theirs": "in a scope"})
        assert (ours.name, ours.value, ours.ratio, ours.note) == ("ours", summary([10.0, 20.0, 30.0]), None, "")
        assert (theirs.ratio, theirs.note) == (summary([2.0, 4.0, 3.0]), "in a scope")

    def test_the_ratio_is_the_median_of_ratios_not_the_ratio_of_medians(self) -> None:
        _, theirs = compared(ROUNDS, "ours", "ns")
        assert theirs.ratio is not None
        assert theirs.ratio.median == 3.0


class TestGoal:
    @pytest.mark.parametrize(("median", "is_met"), [(24.9, True), (25.0, True), (25.1, False)])
    def test_the_median_decides(self, median: float, is_met: bool) -> None:
        assert Row("stall", summary([0.0, median, 1000.0]), "ms", goal=Goal(25.0)).is_met is is_met

    @pytest.mark.parametrize(("ratio", "is_met"), [(1.01, True), (1.03, False)])
    def test_a_goal_of_the_ratio_is_compared_with_that(self, ratio: float, is_met: bool) -> None:
        assert Row("call", summary([900.0]), "µs", summary([ratio]), Goal(1.02, "ratio")).is_met is is_met

    @pytest.mark.parametrize(("median", "is_met"), [(1.9, False), (2.0, True), (2.1, False)])
    def test_one_can_have_a_lower_limit_as_well(self, median: float, is_met: bool) -> None:
        assert Row("connections", summary([median]), "", goal=Goal(2.0, at_least=2.0)).is_met is is_met

    def test_a_goal_of_a_ratio_that_is_not_there_is_missed(self) -> None:
        assert Row("call", summary([1.0]), "µs", goal=Goal(1.02, "ratio")).is_met is False

    @pytest.mark.parametrize(
        ("goal", "written"),
        [
            (Goal(25.0), "at most 25.0 ms"),
            (Goal(None, "ratio", 0.35), "at least 0.35"),
            (Goal(9.0, at_least=1.0), "at least 1.00 ms, at most 9.00 ms"),
            (Goal(2.0, at_least=2.0), "exactly 2.00 ms"),
        ],
    )
    def test_what_it_asks_for_is_written_out(self, goal: Goal, written: str) -> None:
        assert limit(goal, "ms") == written

    def test_where_there_is_no_goal_there_is_no_verdict(self) -> None:
        assert Row("call", summary([900.0]), "µs").is_met is None


class TestText:
    def test_columns_are_aligned_and_a_missed_goal_says_so(self) -> None:
        rows = compared(
            ROUNDS,
            "ours",
            "ns",
            goals={"ours": Goal(25.0), "theirs": Goal(1.02, "ratio")},
            notes={"theirs": "in a scope"},
        )
        assert text(Table("Asking", "Time of one; the ratio is to: ours.", rows)).splitlines() == [
            "Asking",
            "Time of one; the ratio is to: ours.",
            "         median   middle half  ratio     middle half  goal",
            "ours    20.0 ns  15.0 to 25.0                         at most 25.0 ns: met",
            "theirs  80.0 ns  50.0 to 85.0  3.000  2.500 to 3.500  at most 1.02: missed  in a scope",
        ]

    def test_what_was_left_out_stands_below(self) -> None:
        table = Table("Asking", "Time of one.", [Row("ours", summary([1.0]), "ns")], ["theirs: it is not installed"])
        assert text(table).splitlines()[-1] == "Left out: theirs: it is not installed"

    @given(st.lists(st.tuples(st.text("abc ", min_size=1), st.floats(0.0, 1e9)), min_size=1))
    def test_every_row_has_its_figures_in_the_same_columns(self, figures: list[tuple[str, float]]) -> None:
        rows = [Row(f"{name}|", summary([value]), "|") for name, value in figures]
        _, _, _, *lines = text(Table("Title", "About.", rows)).splitlines()
        assert len(lines) == len(rows)
        assert len({line.rindex("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0.00"), (0.123, "0.12"), (9.87, "9.87"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12 346")],
)
def test_numbers_have_about_three_digits(value: float, written: str) -> None:
    assert number(value) == written
