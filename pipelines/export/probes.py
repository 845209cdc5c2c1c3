"""Rows on which a twin would show that it is none, made from a few given ones. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PROBES = 128
"""Rows of each kind."""
HALVINGS = 50
"""Until two rows are neighbours in float64, or nearly."""
SPECIAL = ("nan", "inf", "gap")
"""Kinds that a model may refuse and its graph may not: numbers that are none, and missing texts."""
UNSEEN = "a text that no training row had"

Array = NDArray[Any]
Rows = pd.DataFrame | Array
Answers = Mapping[str, Array]
Ask = Callable[[Rows], Answers]
"""What a model says of rows, by method: predict, and predict_proba where it has it."""


def probing(original: Ask, rows: Rows) -> Iterator[tuple[str, Rows]]:
    """By kind: rows near the given ones, mixed from them, at the jumps of the original, and with special values."""
    random = np.random.default_rng(0)
    some = _at(rows, random.integers(len(rows), size=PROBES))
    yield "mixed", _mixed(some, random)
    numbers = _numbers(some)
    if numbers is not None:
        spread = np.nan_to_num(np.nanstd(numbers, axis=0)) + 1e-3
        noise = random.normal(size=numbers.shape) * spread
        scales = random.choice([1e-6, 0.3], (PROBES, 1))  # numpy's, of trial rows # nosec B311
        yield "near", _with(some, numbers + noise * scales)
        yield "jumps", _jumps(original, some, random)
        for kind, value in (("nan", np.nan), ("inf", np.inf)):
            yield kind, _with(some, np.where(_one_each(numbers.shape), value, numbers))
    if isinstance(some, pd.DataFrame) and (texts := _names(some, numbers=False)):
        hit = _one_each((len(some), len(texts)))
        for kind, text in (("gap", None), ("unseen", UNSEEN), ("empty", "")):
            table = np.where(hit, np.array(text, object), some[texts].to_numpy(object))
            yield kind, some.assign(**{name: table[:, at] for at, name in enumerate(texts)})


def _jumps(original: Ask, rows: Rows, random: np.random.Generator) -> Rows:
    """Where an answer jumps as one column moves: both neighbours, found by halving. Trees jump at every threshold."""
    low, others = _numbers(rows), _numbers(_at(rows, random.permutation(len(rows))))
    assert low is not None  # noqa: S101 - the caller looked
    assert others is not None  # noqa: S101
    high = np.where(_one_each(low.shape), others, low)
    below, above = _numeric(original, _with(rows, low)), _numeric(original, _with(rows, high))
    for _ in range(HALVINGS if below is not None else 0):
        middle = low + (high - low) / 2
        between = _numeric(original, _with(rows, middle))
        first = np.abs(between - below).sum(axis=1) >= np.abs(above - between).sum(axis=1)
        high, above = np.where(first[:, None], middle, high), np.where(first[:, None], between, above)
        low, below = np.where(first[:, None], low, middle), np.where(first[:, None], below, between)
    both = np.concatenate([np.arange(len(rows))] * 2)
    return _with(_at(rows, both), np.concatenate([low, high]))


def _numeric(ask: Ask, rows: Rows) -> Any:
    """The numbers of an answer, a line a row; None where there are only labels."""
    found = [values.reshape(len(values), -1) for values in ask(rows).values() if values.dtype.kind == "f"]
    return np.concatenate(found, axis=1).astype(np.float64) if found else None


def _mixed(rows: Rows, random: np.random.Generator) -> Rows:
    """Every column from another row."""
    if isinstance(rows, pd.DataFrame):
        return rows.assign(**{str(name): random.permutation(rows[name].to_numpy()) for name in rows})
    flat = rows.reshape(len(rows), -1)
    mixed: Array = random.permuted(flat, axis=0).reshape(rows.shape)
    return mixed


def _one_each(shape: tuple[int, ...]) -> Array:
    """[rows, columns], true once a row: the columns in turn."""
    turn: Array = np.arange(shape[0])[:, None] % shape[1] == np.arange(shape[1])
    return turn


def _at(rows: Rows, places: Array) -> Rows:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[places].reset_index(drop=True)
    chosen: Array = rows[places]
    return chosen


def _names(rows: pd.DataFrame, *, numbers: bool) -> list[str]:
    """Columns of floating-point numbers, or of texts."""
    wanted = "f" if numbers else "OUT"
    return [str(name) for name in rows if rows[name].dtype.kind in wanted]


def _numbers(rows: Rows) -> Array | None:
    """The floating-point columns as float64 [rows, columns]; None when there are none."""
    if isinstance(rows, pd.DataFrame):
        names = _names(rows, numbers=True)
        return rows[names].to_numpy(np.float64) if names else None
    return rows.reshape(len(rows), -1).astype(np.float64) if rows.dtype.kind == "f" else None


def _with(rows: Rows, numbers: Array) -> Rows:
    """`rows` with other numbers, of the same types."""
    if isinstance(rows, pd.DataFrame):
        names = _names(rows, numbers=True)
        return rows.assign(**{name: numbers[:, at].astype(str(rows[name].dtype)) for at, name in enumerate(names)})
    return numbers.reshape(rows.shape).astype(rows.dtype)
