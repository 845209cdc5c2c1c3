"""The report: everything that was found, for people and for programs, and short enough for MLflow's description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gate import Check, Verdict
from pipelines.promotion.heard import Heard
from pipelines.promotion.report import Report, described, markdown, table
from tests.pipelines.promotion.test_heard import heard

FLOOR = Check(name="floor", passed=True, detail="f1_macro 0.9812, wanted at least 0.9")
LATENCY = Check(name="latency", passed=False, detail="one row | p99 120.00 ms; at most 100 ms")
GOLDEN = Check(name="golden sample", passed=False, detail="it has no golden.json", required=False)


def a_report(*checks: Check, outcome: str = "refused: latency", **traffic: Heard) -> Report:
    return Report(
        model="slipway",
        version="7",
        current="6",
        at_ms=1_795_435_200_000,
        who="ada",
        why="more trees",
        asked="promote",
        outcome=outcome,
        verdict=Verdict(checks=list(checks)),
        traffic=traffic,
    )


def test_a_person_reads_who_when_why_against_what_and_every_check() -> None:
    text = markdown(a_report(FLOOR, LATENCY, GOLDEN))

    assert text.startswith("# slipway version 7: refused: latency\n")
    assert "Asked to promote by ada at 2026-11-23 12:00:00 UTC: more trees. Production was version 6 then." in text
    assert "| floor | pass | f1_macro 0.9812, wanted at least 0.9 |" in text
    assert "| latency | FAIL | one row \\| p99 120.00 ms; at most 100 ms |" in text
    assert "| golden sample | fail, not required | it has no golden.json |" in text


def test_what_the_servers_said_of_a_candidate_is_in_it() -> None:
    said = heard(
        "out",
        reason="p99",
        errors=2,
        p99_ms=90.0,
        compared=50,
        disagreed=3,
        production={"version": 6, "requests": 540, "errors": 1, "p99_ms": 4.5},
    )

    text = markdown(a_report(outcome="rejected: p99", one=said))

    assert "| one | out p99 | 60 | 2 | 90.00 ms | 50 | 3 | 540 | 1 | 4.50 ms |" in text


def test_a_program_reads_back_what_was_written() -> None:
    found = a_report(FLOOR, LATENCY, GOLDEN, one=heard())

    assert Report.model_validate_json(found.model_dump_json()) == found


def test_the_table_in_the_terminal_has_a_line_a_check() -> None:
    assert table([FLOOR, LATENCY, GOLDEN]).row_count == 3


def test_a_description_keeps_what_people_wrote_and_has_the_last_report_only() -> None:
    once = described(
        "**linear**, the best of 4.\n\n| a | b |", a_report(FLOOR, outcome="refused: floor"), where="There."
    )
    again = described(f"{once}\n\n### By hand\n\nmine", a_report(FLOOR, LATENCY, outcome="passed"), where="There.")

    assert again.startswith("**linear**, the best of 4.\n\n| a | b |")
    assert "### By hand\n\nmine" in again
    assert again.count("### Promotion report") == 1
    assert "**passed** at 2026-11-23 12:00:00 UTC by ada. There." in again
    assert "| latency | FAIL |" in again
    assert "refused: floor" not in again


@given(own=st.integers(0, 5000), detail=st.integers(0, 3000))
def test_a_description_is_never_longer_than_mlflow_keeps(own: int, detail: int) -> None:
    checks = [LATENCY.model_copy(update={"detail": "x" * detail})] * 9
    text = "y" * own

    found = described(text, a_report(*checks, outcome="passed"), where="There.")

    assert len(found) <= 5000
    assert found.startswith(text)


@pytest.mark.parametrize("detail", ["two\nlines", "a | pipe"])
def test_what_a_check_says_does_not_break_the_table(detail: str) -> None:
    (row,) = [
        line for line in markdown(a_report(FLOOR.model_copy(update={"detail": detail}))).splitlines() if "floor" in line
    ]

    assert row.replace("\\|", "").count("|") == 4
