"""The tag that makes a version a candidate: what is written is read, and what a person gets wrong is no candidate."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import trial
from pipelines.errors import NoCandidate
from pipelines.trial import Trial


def test_a_canary_is_written_as_serving_expects_it() -> None:
    canary = Trial(version="7", mode="canary", percent=10, since_ms=1_763_880_000_000)

    assert json.loads(canary.written()) == {
        "version": "7",
        "mode": "canary",
        "percent": 10,
        "since_ms": 1_763_880_000_000,
    }


def test_a_shadow_has_no_percent() -> None:
    assert json.loads(Trial(version="7", mode="shadow", since_ms=1).written()) == {
        "version": "7",
        "mode": "shadow",
        "since_ms": 1,
    }


@given(
    version=st.integers(1, 10**6).map(str),
    percent=st.none() | st.integers(0, 100) | st.floats(0, 100),
    since_ms=st.integers(0, 2**53),
)
def test_what_is_written_is_read(version: str, percent: float | None, since_ms: int) -> None:
    mode = "shadow" if percent is None else "canary"
    found = Trial.model_validate({"version": version, "mode": mode, "percent": percent, "since_ms": since_ms})

    assert trial.read(found.written()) == found


def test_no_tag_is_no_candidate() -> None:
    assert trial.read(None) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "7",
        "{}",
        '{"version": "7"}',
        '{"version": "latest", "mode": "shadow", "since_ms": 1}',
        '{"version": "7", "mode": "canary", "since_ms": 1}',
        '{"version": "7", "mode": "shadow", "percent": 10, "since_ms": 1}',
        '{"version": "7", "mode": "canary", "percent": 101, "since_ms": 1}',
        '{"version": "7", "mode": "blue-green", "percent": 10, "since_ms": 1}',
    ],
)
def test_a_tag_that_cannot_be_read_says_how_to_get_rid_of_it(value: str) -> None:
    with pytest.raises(NoCandidate, match=r"cannot be read.*--no-candidate` removes it"):
        trial.read(value)
