"""Predictions as the caller works with them. Imports numpy or pandas only to make one of theirs."""

from collections.abc import Callable
from functools import partial
from typing import Any

Natural = Callable[[list[Any]], Any]
"""Takes an entry a row: a value, a list of them, or an object by output."""


def as_they_are(predictions: list[Any]) -> list[Any]:
    return predictions


def array(predictions: list[Any]) -> Any:
    """Of an answer that is a table, an array with a column for each of its outputs."""
    import numpy as np

    if predictions and isinstance(predictions[0], dict):
        predictions = [list(each.values()) for each in predictions]
    return np.array([_numeric(each) for each in predictions] if _lacks_numbers(predictions) else predictions)


def like(frame: Any) -> Natural:
    """A Series with its index, or a DataFrame where a prediction is several values. Keeps the index, not the frame."""
    return partial(_indexed, frame.index)


def _indexed(index: Any, predictions: list[Any]) -> Any:
    import pandas as pd

    if len(predictions) != len(index):
        return pd.Series(predictions, name="prediction")
    if predictions and isinstance(predictions[0], list | dict):
        return pd.DataFrame(predictions, index=index)
    return pd.Series(predictions, index=index, name="prediction")


def _lacks_numbers(predictions: list[Any]) -> bool:
    """Is a number missing somewhere, among nothing but numbers?"""
    leaves = [leaf for each in predictions for leaf in (each if isinstance(each, list) else [each])]
    return None in leaves and all(leaf is None or isinstance(leaf, int | float) for leaf in leaves)


def _numeric(value: Any) -> Any:
    if isinstance(value, list):
        return [_numeric(each) for each in value]
    return float("nan") if value is None else value
