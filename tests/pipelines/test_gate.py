"""The gate: each check by example, the figures it names, and that only required ones count."""

from math import inf
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import gate
from pipelines.gate import Check, Latency, Rival, judge, requiring
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


def test_only_a_required_check_keeps_a_version_out() -> None:
    checks = [Check(name="floor", passed=True, detail=""), Check(name="lineage", passed=False, detail="no commit")]

    assert requiring(checks, ["floor"]).passed
    assert requiring(checks, ["floor"]).refusal == ""
    assert requiring(checks, ["lineage"]).refusal == "lineage: no commit"


def test_a_break_of_the_signature_is_refused_unless_a_person_has_allowed_it() -> None:
    breaks = ["column 'age' is new", "it answers with string, not long"]

    refused = gate.signature(breaks, "6", allowed=False)
    allowed = gate.signature(breaks, "6", allowed=True)

    assert (refused.passed, allowed.passed) == (False, True)
    assert "callers of version 6 would break: column 'age' is new; it answers with string, not long" in refused.detail
    assert "--allow-signature-change" in refused.detail
    assert "another name: register.model in params.yaml" in refused.detail
    assert allowed.detail == "changed, as allowed: column 'age' is new; it answers with string, not long"


LINEAGE = {
    "slipway.git.commit": "a" * 40,
    "slipway.git.dirty": "false",
    "slipway.data.md5": "b" * 32,
    "slipway.data.url": "s3://dvc/files/md5/bb/bb",
    "slipway.params.sha256": "c" * 64,
    "slipway.lock.sha256": "d" * 64,
}


def test_a_lineage_that_leads_back_to_everything_passes() -> None:
    found = gate.lineage(LINEAGE, patch_kept=False)

    assert found.passed
    assert found.detail == "commit aaaaaaaaaa, data bbbbbbbbbb, params and lock are on record"


@pytest.mark.parametrize("name", sorted(LINEAGE))
@pytest.mark.parametrize("value", [None, "", "unknown\n"])
def test_a_lineage_that_lacks_anything_names_it_and_what_to_do(name: str, value: str | None) -> None:
    tags = {tag: was for tag, was in LINEAGE.items() if tag != name} | ({} if value is None else {name: value})

    found = gate.lineage(tags, patch_kept=True)

    assert not found.passed
    assert f"nothing usable in {name}" in found.detail
    assert "`dvc repro` in a git repository records it" in found.detail


@pytest.mark.parametrize(
    ("patch", "kept", "says"),
    [
        ("attached", True, None),
        ("attached", False, "trained with an uncommitted change, now gone; commit, then train"),
        ("too large (6.3 MB), not kept", False, "uncommitted change, too large (6.3 MB), not kept; commit"),
        (None, False, "uncommitted change, not kept; commit"),
    ],
)
def test_an_uncommitted_change_must_be_kept(patch: str | None, kept: bool, says: str | None) -> None:
    tags = LINEAGE | {"slipway.git.dirty": "true"} | ({"slipway.git.patch": patch} if patch else {})

    found = gate.lineage(tags, patch_kept=kept)

    assert found.passed is (says is None)
    assert (says or "and its uncommitted change") in found.detail


def test_data_that_cannot_be_had_is_refused_with_the_reason() -> None:
    assert gate.pushed("s3://dvc/x", None) == Check(name="data pushed", passed=True, detail="s3://dvc/x is there")
    assert gate.pushed("s3://dvc/x", "`dvc push` uploads it").detail == "`dvc push` uploads it"
    assert not gate.pushed("s3://dvc/x", "`dvc push` uploads it").passed
    assert not gate.pushed("", None).passed


@pytest.mark.parametrize(("found", "passes"), [(0.0, True), (1e-6, True), (1.1e-6, False), (inf, False)])
def test_the_golden_sample_allows_a_millionth(found: float, passes: bool) -> None:
    check = gate.golden({"the model": found}, {"the model": gate.GOLDEN_TOLERANCE}, rows=64)

    assert check.passed is passes


def test_each_that_is_asked_has_a_tolerance_of_its_own() -> None:
    check = gate.golden({"the model": 0.0, "its ONNX twin": 2e-6}, {"the model": 1e-6, "its ONNX twin": 1e-5}, rows=8)

    assert check.passed
    assert check.detail == "on 8 rows: the model answers the same, its ONNX twin differs by 2.0e-06"


@pytest.mark.parametrize(("p99_ms", "passes"), [(99.9, True), (100.0, True), (100.1, False)])
def test_the_budget_is_for_the_slowest_of_a_hundred_not_for_the_median(p99_ms: float, passes: bool) -> None:
    check = gate.latency(Latency(1.5, p99_ms, 200), 100, through="its ONNX twin on this machine")

    assert check.passed is passes
    assert f"median 1.50 ms, p99 {p99_ms:.2f} ms of 200 calls; at most 100 ms" in check.detail
