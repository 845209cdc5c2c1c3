"""What a caller may do: scopes, each for every model or for one.

Pure. Written as `predict` or `predict:MODEL`, in key files and in a token's `scope` alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    PREDICT = "predict"
    JOBS = "jobs"
    FEEDBACK = "feedback"
    """To tell what was true. No route of this release takes it yet; keys and tokens may have it already."""
    METRICS = "metrics"
    """To read /metrics, and nothing else: what Prometheus needs."""
    ADMIN = "admin"
    """Everything, or everything about one model."""


class Grant(NamedTuple):
    scope: Scope
    model: str = ""
    """Empty: every model."""

    def __str__(self) -> str:
        return f"{self.scope}:{self.model}" if self.model else str(self.scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was recognised. `name` is for logs, and no secret."""

    name: str
    grants: frozenset[Grant]
    rate: float | None = None
    """Requests a second; None: as the server has it."""
    bucket: str = ""
    """What its rate is counted under; empty: its name."""

    def may(self, scope: Scope, model: str = "") -> bool:
        """About `model`; without one, about the server."""
        return not self.grants.isdisjoint(sufficient(scope, model))

    def knows(self, model: str) -> bool:
        """Has it to do with `model` at all?"""
        return any(each.model in ("", model) and each.scope is not Scope.METRICS for each in self.grants)

    @property
    def reads_metrics_only(self) -> bool:
        return bool(self.grants) and all(each.scope is Scope.METRICS for each in self.grants)


def sufficient(scope: Scope, model: str = "") -> frozenset[Grant]:
    """Each of them lets its holder do what `scope` says, about `model`; without one, about the server."""
    return frozenset(Grant(each, about) for each in (scope, Scope.ADMIN) for about in {"", model})


def grant(text: str) -> Grant:
    """ValueError for what is none."""
    scope, _, model = text.partition(":")
    if scope not in set(Scope):
        raise ValueError(f"no such scope; there are {', '.join(Scope)}, each also as SCOPE:MODEL")
    if ":" in text and not model:
        raise ValueError("no model after the colon")
    return Grant(Scope(scope), model)


def grants(texts: Iterable[str]) -> frozenset[Grant]:
    """ValueError; of what is none."""
    return frozenset(grant(each) for each in texts)
