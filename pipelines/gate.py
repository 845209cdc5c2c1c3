"""The test a version must pass to become Production. Pure: numbers in, verdict out.

`evaluate` asks it when a version is made, `promote` again when it is to be moved: Production may have changed.
"""

from pydantic import BaseModel

from pipelines.scores import LOWER_IS_BETTER, gain
from pipelines.settings import Evaluate


class Check(BaseModel, frozen=True):
    """One question, its answer, and the figures behind it."""

    name: str
    passed: bool
    detail: str


class Verdict(BaseModel, frozen=True):
    """Passed when every check did."""

    checks: list[Check]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def refusal(self) -> str:
        """Which checks failed and why; empty when none did."""
        return "; ".join(f"{check.name}: {check.detail}" for check in self.checks if not check.passed)


class Rival(BaseModel, frozen=True):
    """The current Production version, measured on the same rows; `value` is None where that cannot be done."""

    version: str
    value: float | None
    why_not: str = ""


def judge(value: float, rival: Rival | None, params: Evaluate) -> Verdict:
    """Is `value`, on rows no candidate was trained on, good enough, and no step back from `rival`?"""
    return Verdict(checks=[_floor(value, params), _no_step_back(value, rival, params)])


def _floor(value: float, params: Evaluate) -> Check:
    passed = gain(params.metric, value, over=params.floor) >= 0
    word = "at most" if params.metric in LOWER_IS_BETTER else "at least"
    return Check(name="floor", passed=passed, detail=f"{params.metric} {value:.4f}, wanted {word} {params.floor:g}")


def _no_step_back(value: float, rival: Rival | None, params: Evaluate) -> Check:
    name = "no step back"
    if rival is None:
        return Check(name=name, passed=True, detail="no other version is Production")
    if rival.value is None:
        return Check(name=name, passed=True, detail=f"version {rival.version} cannot be compared: {rival.why_not}")
    passed = gain(params.metric, value, over=rival.value) >= -params.margin
    detail = f"{params.metric} {value:.4f}, Production (version {rival.version}) has {rival.value:.4f} on the same rows"
    return Check(name=name, passed=passed, detail=f"{detail}, margin {params.margin:g}")
