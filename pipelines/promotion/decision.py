"""Hold a version against the gate for somebody who asks: show what was found, attach the report, refuse or let pass."""

import getpass
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mlflow.entities.model_registry import ModelVersion

from pipelines.errors import GateRefused
from pipelines.gate import Verdict
from pipelines.progress import say
from pipelines.promotion import report
from pipelines.promotion.attachment import attach
from pipelines.promotion.heard import Heard
from pipelines.promotion.inspection import Terms, inspect
from pipelines.promotion.report import Report
from pipelines.registry import Registry
from pipelines.settings import Params


@dataclass(frozen=True)
class Options:
    dry_run: bool = False
    """Make every check and show it; write nothing anywhere."""
    allow_signature_change: bool = False
    key: Ed25519PrivateKey | None = None
    """The one that signs here."""
    traffic: Mapping[str, Heard] = field(default_factory=dict)
    """What the servers said of the version as a candidate; for the report."""


@dataclass(frozen=True)
class Order:
    """What somebody asks for, and why."""

    asked: Literal["promote", "canary", "reject"]
    why: str
    options: Options = Options()


def decide(
    registry: Registry, version: ModelVersion, current: ModelVersion | None, params: Params, order: Order
) -> None:
    """GateRefused names the checks that failed. Either way the report is attached, unless it is a dry run."""
    options = order.options
    terms = Terms(params.evaluate, params.promote, options.key, options.allow_signature_change)
    verdict = inspect(version, current, terms)
    say(report.table(verdict.checks))
    if not options.dry_run:
        outcome = "passed" if verdict.passed else f"refused: {verdict.refusal}"
        attach(registry, version, written(version, current, order, outcome, verdict))
    if not verdict.passed:
        where = "Production" if order.asked == "promote" else "traffic"
        raise GateRefused(f"version {version.version} stays out of {where}: {verdict.refusal}")


def written(
    version: ModelVersion,
    current: ModelVersion | None,
    order: Order,
    outcome: str,
    verdict: Verdict = Verdict(checks=[]),  # noqa: B008 - frozen
) -> Report:
    return Report(
        model=version.name,
        version=version.version,
        current=None if current is None else current.version,
        at_ms=now_ms(),
        who=who(),
        why=order.why,
        asked=order.asked,
        outcome=outcome,
        verdict=verdict,
        traffic=dict(order.options.traffic),
    )


def who() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # the user of a container may have a number and no name
        return "unknown"


def now_ms() -> int:
    return int(time.time() * 1000)
