"""Hold what was reproduced beside what was recorded, row by row: equal, or by how much they differ. Pure.

Identities (commit, data, parameters) are equal or not. Numbers are equal when they differ by no more than `TOLERANCE`;
a difference within it is still told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, computed_field

TOLERANCE = 1e-9
"""Of the largest number among those compared. The same environment gives the same bits, whatever its number of threads
(measured for every candidate); another kind of processor may add numbers in another order."""
NAMES_SHOWN = 3


class Row(BaseModel, frozen=True):
    """One thing that was compared."""

    name: str
    recorded: str
    reproduced: str
    equal: bool
    how: str
    """`equal`, or by how much the two differ."""


class Verdict(BaseModel, frozen=True):
    """Of one version or run."""

    of: str
    rows: list[Row]
    notes: list[str]
    """Worth knowing, and no part of the verdict."""
    not_tried: list[str]
    """Stages that what came before made pointless."""

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way to have it in the JSON
    @property
    def reproduced(self) -> bool:
        return not self.not_tried and all(row.equal for row in self.rows)

    @property
    def refusal(self) -> str:
        """Which rows differ, and how; empty when none does."""
        return "; ".join(f"{row.name}: {row.how}" for row in self.rows if not row.equal)


@dataclass(frozen=True)
class Answers:
    """What a model says of the same rows: labels or values, and probabilities [rows, classes] where it has them."""

    predictions: Any
    probabilities: Any | None


def identity(name: str, recorded: str, reproduced: str, *, how: str = "differs") -> Row:
    equal = recorded == reproduced
    return Row(name=name, recorded=recorded, reproduced=reproduced, equal=equal, how="equal" if equal else how)


def values(name: str, recorded: Mapping[str, Any], reproduced: Mapping[str, Any]) -> Row:
    """Nested values; those that differ are named."""
    ours, theirs = _flat(recorded), _flat(reproduced)
    other = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    said = [f"{key} is {theirs.get(key)!r}, was {ours.get(key)!r}" for key in other[:NAMES_SHOWN]]
    if len(other) > NAMES_SHOWN:
        said.append(f"{len(other) - NAMES_SHOWN} more")
    return Row(
        name=name,
        recorded=f"{len(ours)} values",
        reproduced=f"{len(theirs)} values",
        equal=not other,
        how="; ".join(said) or "equal",
    )


def metrics(recorded: Mapping[str, float], reproduced: Mapping[str, float]) -> list[Row]:
    """A row for each that was recorded."""
    return [_number(name, value, reproduced.get(name)) for name, value in sorted(recorded.items())]


def answers(rows: str, recorded: Answers, reproduced: Answers) -> list[Row]:
    """`rows` says which rows both were asked."""
    found = [_predictions(f"predictions on {rows}", recorded.predictions, reproduced.predictions)]
    if recorded.probabilities is not None:
        found.append(_numbers(f"probabilities on {rows}", recorded.probabilities, reproduced.probabilities))
    return found


def _number(name: str, recorded: float, reproduced: float | None) -> Row:
    if reproduced is None:
        return Row(name=name, recorded=repr(recorded), reproduced="-", equal=False, how="was not measured")
    equal, how = _difference(np.array([recorded]), np.array([reproduced]))
    return Row(name=name, recorded=repr(recorded), reproduced=repr(reproduced), equal=equal, how=how)


def _predictions(name: str, recorded: Any, reproduced: Any) -> Row:
    if np.asarray(recorded).dtype.kind == "f":
        return _numbers(name, recorded, reproduced)
    ours, theirs = np.asarray(recorded).astype(str), np.asarray(reproduced).astype(str)
    shapes = Row(name=name, recorded=_shape(ours), reproduced=_shape(theirs), equal=True, how="equal")
    if ours.shape != theirs.shape:
        return shapes.model_copy(update={"equal": False, "how": "another shape"})
    other = np.flatnonzero(ours != theirs)
    if not len(other):
        return shapes
    first = other[0]
    how = f"{len(other)} of {len(ours)} differ; row {first + 1} is {theirs[first]}, was {ours[first]}"
    return shapes.model_copy(update={"equal": False, "how": how})


def _numbers(name: str, recorded: Any, reproduced: Any) -> Row:
    ours = np.asarray(recorded, np.float64)
    theirs = np.asarray([] if reproduced is None else reproduced, np.float64)
    shapes = Row(name=name, recorded=_shape(ours), reproduced=_shape(theirs), equal=False, how="another shape")
    if ours.shape != theirs.shape:
        return shapes
    equal, how = _difference(ours, theirs)
    return shapes.model_copy(update={"equal": equal, "how": how})


def _difference(recorded: Any, reproduced: Any) -> tuple[bool, str]:
    """Of two arrays of one shape; NaN equals NaN."""
    if np.array_equal(recorded, reproduced, equal_nan=True):
        return True, "equal"
    both = np.isfinite(recorded) & np.isfinite(reproduced)
    if not np.array_equal(recorded[~both], reproduced[~both], equal_nan=True):
        return False, "differs: a number on one side is none on the other"
    ours, theirs = recorded[both], reproduced[both]
    apart = float(np.abs(theirs - ours).max())
    relative = apart / max(float(np.abs(ours).max()), float(np.abs(theirs).max()))
    how = f"differs by {apart:.2g}, {relative:.1g} of the largest" if len(ours) > 1 else f"differs by {apart:.2g}"
    return relative <= TOLERANCE, f"{how}; within {TOLERANCE:g}" if relative <= TOLERANCE else how


def _shape(found: Any) -> str:
    return " x ".join(str(size) for size in found.shape)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
