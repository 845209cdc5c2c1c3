"""How closely a twin follows its original: on the rows given, and on probes made from them. Pure.

The difference of a number is |twin - original| / max(|original|, floor): relative, and defined at zero. What is less
than 32 roundings of the largest number in the answer (7e-15 of it in float64, 4e-6 in float32) counts as nothing, for
the original's own additions leave as much: floor is the number of which that much is TOLERANCE. Labels must be equal.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import NoTwin
from pipelines.export.probes import SPECIAL, Answers, Ask, Rows, probing

TOLERANCE = 1e-5
DIFFERENCE = "|twin - original| / max(|original|, 32 roundings of the largest number / tolerance)"
ROUNDINGS = 32
Array = NDArray[Any]


@dataclass(frozen=True)
class Parity:
    rows: int
    probes: int
    largest_relative: float
    takes: tuple[str, ...]
    """Which of nan, inf and gap (a missing text) the original takes; it refuses rows with the others."""


def measure(original: Ask, twin: Ask, rows: Rows, *, numbers: Ask | None = None) -> Parity:
    """`numbers` is the original's numbers alone, where they come quicker; they are asked for often.

    NoTwin where a label differs, a number differs by more than TOLERANCE, or only the twin takes unseen texts."""
    largest, probes, takes = difference(original(rows), twin(rows)), 0, []
    _within(largest, f"{len(rows)} rows")
    for kind, probe in probing(numbers or original, rows):
        said = _unless_refused(original, probe)
        if said is not None:
            found = difference(said, twin(probe))
            _within(found, f"{len(probe)} probes ({kind})")
            largest, probes = max(largest, found), probes + len(probe)
            takes.append(kind)
        elif kind not in SPECIAL and _unless_refused(twin, probe) is not None:
            raise NoTwin(f"the model refuses some rows ({kind}), and its twin would not")
    return Parity(len(rows), probes, largest, tuple(kind for kind in takes if kind in SPECIAL))


def difference(original: Answers, twin: Answers) -> float:
    """The largest of any number; infinite where shapes, types or labels differ."""
    return max(_difference(values, np.asarray(twin[method])) for method, values in original.items())


def _difference(original: Array, twin: Array) -> float:
    if original.shape != twin.shape or _kind(original) != _kind(twin):
        return np.inf
    if original.dtype.kind != "f":
        return 0.0 if original.tolist() == twin.tolist() else np.inf
    ours, theirs = original.astype(np.float64), twin.astype(np.float64)
    known = np.isfinite(ours)
    if not np.array_equal(known, np.isfinite(theirs)) or not np.array_equal(
        ours[~known], theirs[~known], equal_nan=True
    ):
        return np.inf
    size = np.abs(ours[known])
    if not size.size or not size.max():
        return 0.0 if not np.any(theirs[known]) else np.inf
    floor = ROUNDINGS * float(np.finfo(original.dtype).eps) * size.max() / TOLERANCE
    return float((np.abs(theirs - ours)[known] / np.maximum(size, floor)).max())


def _kind(values: Array) -> str:
    """A text's length is no difference, a number's is."""
    return "text" if values.dtype.kind in "UOT" else str(values.dtype)


def _within(found: float, where: str) -> None:
    if not np.isfinite(found):
        raise NoTwin(f"labels, types or shapes differ on {where}")
    if not found <= TOLERANCE:
        raise NoTwin(f"it differs by {found:.1e} on {where}")


def _unless_refused(ask: Ask, rows: Rows) -> Answers | None:
    try:
        return ask(rows)
    except Exception:  # noqa: BLE001 - every model refuses in its own way
        return None
