"""Do two versions' answers to the same rows agree: labels equal, numbers equal to RELATIVE. Pure."""

import json
import math
from typing import Any

import numpy as np

from serving.protocol import Answer, Array

RELATIVE = 1e-5
"""As far as a twin may be from its original."""
_NOTHING = 1e-12
"""Beside a zero no difference is relative."""


def agree(one: Answer, other: Answer) -> bool:
    """Whatever the order of the columns where both answers name them."""
    if len(one.outputs) != len(other.outputs) or (one.names is None) != (other.names is None):
        return False
    if one.names is None or other.names is None:
        return all(_alike(mine, theirs) for mine, theirs in zip(one.outputs, other.outputs, strict=True))
    mine, theirs = (dict(zip(each.names or (), each.outputs, strict=True)) for each in (one, other))
    return mine.keys() == theirs.keys() and all(_alike(mine[name], theirs[name]) for name in mine)


def agree_as_json(one: bytes, other: bytes) -> bool:
    """The same of two answers that MLflow wrote."""
    try:
        return _same(json.loads(one), json.loads(other))
    except ValueError:
        return one == other


def _alike(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        if one.dtype.kind == other.dtype.kind and one.dtype.kind != "f":
            return bool(np.array_equal(one, other))
        return bool(np.allclose(one, other, rtol=RELATIVE, atol=_NOTHING, equal_nan=True))
    return _same(one.tolist(), other.tolist())


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, float) or isinstance(other, float):
        return _close(one, other)
    return bool(one == other)


def _close(one: Any, other: Any) -> bool:
    if not (isinstance(one, int | float) and isinstance(other, int | float)):
        return False
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=_NOTHING)
