"""What comes back from a question, the same over either protocol. Pure."""

from dataclasses import dataclass
from typing import Any

from serving.client.errors import Source


@dataclass(frozen=True)
class Reply:
    predictions: list[Any]
    """An entry a row: a value, a list of them, or an object by output."""
    source: Source


@dataclass(frozen=True)
class Answer:
    predictions: Any
    """A Series or DataFrame with the index of the one that was given, an array, or a list."""
    model: str
    version: str
    request_id: str
