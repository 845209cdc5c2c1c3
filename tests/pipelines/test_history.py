"""Questions to the history: what was Production when, how sure that is, and what to go back to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.history import Promotion, at, former, moment, told

MINUTE = 60_000
NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)


def line(minute: int, version: str | None, previous: str | None = None, how: str = "promote", **more: int) -> Promotion:
    return Promotion(NOON + minute * MINUTE, version, previous, "ada", "", how, **more)


LINES = [
    line(0, "3"),
    line(10, "1", "3"),
    line(30, "4", "1", how="external", earliest_ms=NOON + 20 * MINUTE),
    line(40, None, "4", how="external", earliest_ms=NOON + 40 * MINUTE),
]


def said(minute: int, lines: Sequence[Promotion] = LINES) -> str:
    when = NOON + minute * MINUTE
    return told("slipway", at(lines, when), when)


@pytest.mark.parametrize(
    ("minute", "says"),
    [
        (-1, "2026-11-23 11:59:00 UTC: Production of slipway was none that is on record"),
        (0, "Production of slipway was version 3 (since 2026-11-23 12:00:00 UTC, promote by ada)"),
        (15, "Production of slipway was version 1 (since 2026-11-23 12:10:00 UTC, promote by ada)"),
        (45, "Production of slipway was no version ("),
    ],
)
def test_what_was_production_is_told_with_who_put_it_there(minute: int, says: str) -> None:
    assert says in said(minute)
    assert "or already" not in said(minute)


def test_while_an_external_move_may_or_may_not_have_happened_both_are_told() -> None:
    answer = said(25)

    assert "was version 1 (since 2026-11-23 12:10:00 UTC" in answer
    assert answer.endswith(
        "or already version 4 (moved outside of Slipway between 2026-11-23 12:20:00 UTC and 2026-11-23 12:30:00 UTC)"
    )


def test_an_external_move_whose_time_mlflow_knows_is_told_as_such() -> None:
    assert "version 2 (moved outside of Slipway at 2026-11-23 12:00:00 UTC)" in said(5, [line(0, "2", how="external")])


@given(
    minutes=st.lists(st.integers(0, 100), unique=True, min_size=1).map(sorted),
    asked=st.integers(-5, 105),
    gap=st.booleans(),
)
def test_the_last_move_before_a_moment_counts(minutes: list[int], asked: int, gap: bool) -> None:
    lines = [replace(line(minute, str(minute + 1)), earliest_ms=0 if gap else None) for minute in minutes]

    answer = at(lines, NOON + asked * MINUTE)

    before = [minute for minute in minutes if minute <= asked]
    assert (answer.line.version if answer.line else None) == (str(before[-1] + 1) if before else None)
    assert (answer.perhaps is not None) == (gap and len(before) < len(minutes))


def test_the_way_back_is_what_was_there_before_whatever_its_number() -> None:
    lines = [line(0, "3"), line(1, "1", "3"), line(2, "2", "1")]

    assert former(lines, "2") == "1"
    assert former(lines, "3") is None
    assert former(lines, "9") is None


def test_two_rollbacks_do_not_return_to_what_was_fled_from() -> None:
    lines = [line(0, "3"), line(1, "1", "3"), line(2, "2", "1"), line(3, "1", "2", how="rollback")]

    assert former(lines, "1") == "3"


def test_the_way_back_from_no_production_is_the_last_one() -> None:
    assert former(LINES, None) == "4"


def test_a_version_promoted_after_a_time_without_any_goes_back_to_the_one_before_that() -> None:
    lines = [line(0, "1"), line(1, None, "1", how="external"), line(2, "2", None)]

    assert former(lines, "2") == "1"


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00", "2026-11-23 12:00:00", "2026-11-23T12:00Z", "2026-11-23T13:00+01:00"]
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert moment(text) == NOON
