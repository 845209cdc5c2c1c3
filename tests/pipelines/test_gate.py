"""The gate: a floor, and no step back from Production by more than the margin."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gate import Rival, judge
from pipelines.settings import Evaluate


def a_gate(metric: Literal["f1_macro", "rmse"] = "f1_macro", floor: float = 0.9, margin: float = 0.01) -> Evaluate:
    return Evaluate(metric=metric, floor=floor, margin=margin)


def test_the_first_good_version_passes() -> None:
    assert judge(0.95, None, a_gate()).passed


def test_a_version_below_the_floor_is_refused_and_the_figures_are_named() -> None:
    verdict = judge(0.85, None, a_gate())

    assert not verdict.passed
    assert verdict.refusal == "floor: f1_macro 0.8500, wanted at least 0.9"


def test_for_errors_the_floor_is_a_ceiling() -> None:
    assert judge(3.0, None, a_gate("rmse", floor=5)).passed
    assert judge(6.0, None, a_gate("rmse", floor=5)).refusal == "floor: rmse 6.0000, wanted at most 5"


@pytest.mark.parametrize(("value", "passes"), [(0.96, True), (0.955, True), (0.94, False)])
def test_a_step_back_beyond_the_margin_is_refused(value: float, passes: bool) -> None:
    verdict = judge(value, Rival(version="3", value=0.96), a_gate())

    assert verdict.passed is passes
    assert ("Production (version 3) has 0.9600" in verdict.refusal) is not passes


def test_a_production_that_cannot_be_compared_does_not_stand_in_the_way_but_is_named() -> None:
    verdict = judge(0.95, Rival(version="3", value=None, why_not="it was made for other columns"), a_gate())

    assert verdict.passed
    assert "version 3 cannot be compared: it was made for other columns" in verdict.checks[1].detail


@given(value=st.floats(0, 1), rival=st.floats(0, 1), better=st.floats(0, 1))
def test_a_better_version_never_fails_where_a_worse_one_passes(value: float, rival: float, better: float) -> None:
    low, high = sorted((value, better))
    seen = Rival(version="1", value=rival)

    assert judge(high, seen, a_gate()).passed >= judge(low, seen, a_gate()).passed
