"""The test a version must pass to become Production. Pure: figures in, verdict out.

`evaluate` asks for the first two checks when a version is made, `promote` for all when it is to be moved: Production
may have changed. A check is called what params.yaml's `promote.require` calls it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from pipelines.scores import LOWER_IS_BETTER, gain
from pipelines.settings import CheckName, Evaluate

GOLDEN_TOLERANCE = 1e-6
"""Relative, of a number the version answers with; labels must be equal."""


class Check(BaseModel, frozen=True):
    """One question, its answer, and the figures behind it."""

    name: CheckName
    passed: bool
    detail: str
    required: bool = True
    """Does it keep a version out?"""


class Verdict(BaseModel, frozen=True):
    """Passed when every check did that is required."""

    checks: list[Check]

    @property
    def passed(self) -> bool:
        return not any(check.required and not check.passed for check in self.checks)

    @property
    def refusal(self) -> str:
        """Which checks failed and why; empty when none did."""
        failed = [check for check in self.checks if check.required and not check.passed]
        return "; ".join(f"{check.name}: {check.detail}" for check in failed)


class Rival(BaseModel, frozen=True):
    """The current Production version, measured on the same rows; `value` is None where that cannot be done."""

    version: str
    value: float | None
    why_not: str = ""


@dataclass(frozen=True)
class Latency:
    """How long one row takes, in milliseconds, over `calls` calls."""

    median_ms: float
    p99_ms: float
    calls: int


def requiring(checks: Sequence[Check], names: Sequence[CheckName]) -> Verdict:
    """The verdict where only the named checks count."""
    return Verdict(checks=[check.model_copy(update={"required": check.name in names}) for check in checks])


def judge(value: float, rival: Rival | None, params: Evaluate) -> Verdict:
    """Is `value`, on rows no candidate was trained on, good enough, and no step back from `rival`?"""
    return Verdict(checks=[_floor(value, params), _no_step_back(value, rival, params)])


def _floor(value: float, params: Evaluate) -> Check:
    passed = gain(params.metric, value, over=params.floor) >= 0
    word = "at most" if params.metric in LOWER_IS_BETTER else "at least"
    return Check(name="floor", passed=passed, detail=f"{params.metric} {value:.4f}, wanted {word} {params.floor:g}")


def _no_step_back(value: float, rival: Rival | None, params: Evaluate) -> Check:
    name: CheckName = "no step back"
    if rival is None:
        return Check(name=name, passed=True, detail="no other version is Production")
    if rival.value is None:
        return Check(name=name, passed=True, detail=f"version {rival.version} cannot be compared: {rival.why_not}")
    passed = gain(params.metric, value, over=rival.value) >= -params.margin
    detail = f"{params.metric} {value:.4f}, Production (version {rival.version}) has {rival.value:.4f} on the same rows"
    return Check(name=name, passed=passed, detail=f"{detail}, margin {params.margin:g}")


def signature(breaks: Sequence[str], current: str, *, allowed: bool) -> Check:
    """`breaks` is what callers of the version `current` would meet; `allowed` when a person has said that it may be."""
    if not breaks:
        return Check(name="signature", passed=True, detail=f"takes and answers what version {current} does")
    said = "; ".join(breaks)
    if allowed:
        return Check(name="signature", passed=True, detail=f"changed, as allowed: {said}")
    return Check(
        name="signature",
        passed=False,
        detail=f"callers of version {current} would break: {said} (--allow-signature-change lets it pass; "
        "a model of another problem takes another name: register.model in params.yaml)",
    )


def lineage(tags: Mapping[str, str], *, patch_kept: bool) -> Check:
    """`tags` of the version and its run; `patch_kept` when the uncommitted change is an artifact of the training."""
    lacking = list(_lacking(tags, patch_kept))
    if not lacking:
        dirty = " and its uncommitted change" if tags["slipway.git.dirty"] == "true" else ""
        detail = f"commit {tags['slipway.git.commit'][:10]}{dirty}, data {tags['slipway.data.md5'][:10]}"
        return Check(name="lineage", passed=True, detail=f"{detail}, params and lock are on record")
    return Check(name="lineage", passed=False, detail=f"{'; '.join(lacking)}. {_ELSEWHERE}")


_ELSEWHERE = "`dvc repro` in a git repository records it; versions from elsewhere need a promote.require without it"
_WANTED = {
    "slipway.git.commit": r"[0-9a-f]{40}|[0-9a-f]{64}",
    "slipway.git.dirty": "true|false",
    "slipway.data.md5": "[0-9a-f]{32}",
    "slipway.data.url": r"\S.*",
    "slipway.params.sha256": "[0-9a-f]{64}",
    "slipway.lock.sha256": "[0-9a-f]{64}",
}


def _lacking(tags: Mapping[str, str], patch_kept: bool) -> Iterator[str]:
    wrong = [name for name, form in _WANTED.items() if not re.fullmatch(form, tags.get(name, ""))]
    if wrong:
        yield f"nothing usable in {', '.join(wrong)}"
    if tags.get("slipway.git.dirty") == "true" and not patch_kept:
        kept = tags.get("slipway.git.patch", "not kept")
        yield f"trained with an uncommitted change, {'now gone' if kept == 'attached' else kept}; commit, then train"


def pushed(url: str, missing: str | None) -> Check:
    """`missing` says why the data at `url` cannot be had from the DVC remote; None when it can."""
    if not url:
        return Check(
            name="data pushed", passed=False, detail=f"no slipway.data.url says where its data is. {_ELSEWHERE}"
        )
    return Check(name="data pushed", passed=missing is None, detail=f"{url} is there" if missing is None else missing)


def golden(differences: Mapping[str, float], tolerances: Mapping[str, float], *, rows: int) -> Check:
    """Largest relative difference from the answers on record, by who was asked; infinite where a label differs."""
    said = [f"{who} {_difference(found)}" for who, found in differences.items()]
    passed = all(found <= tolerances[who] for who, found in differences.items())
    limits = ", ".join(f"{tolerances[who]:g}" for who in differences)
    detail = f"on {rows} rows: {', '.join(said)}"
    return Check(
        name="golden sample", passed=passed, detail=detail if passed else f"{detail}; at most {limits} is allowed"
    )


def _difference(found: float) -> str:
    if found == float("inf"):
        return "answers with another label, type or shape"
    return "answers the same" if found == 0 else f"differs by {found:.1e}"


def latency(found: Latency, budget_ms: float, *, through: str) -> Check:
    """`through` what the row went, and where."""
    detail = (
        f"one row through {through}: median {found.median_ms:.2f} ms, p99 {found.p99_ms:.2f} ms "
        f"of {found.calls} calls; at most {budget_ms:g} ms"
    )
    return Check(name="latency", passed=found.p99_ms <= budget_ms, detail=detail)
