"""Begin and end the trial of a candidate beside Production; serving follows the tag."""

import shlex

from mlflow.entities.model_registry import ModelVersion

from pipelines import trial
from pipelines.errors import NoCandidate
from pipelines.progress import say
from pipelines.promotion.attachment import attach
from pipelines.promotion.decision import Options, Order, decide, now_ms, who, written
from pipelines.registry import Registry
from pipelines.settings import Params
from pipelines.trial import Trial

TAG = "slipway.trial"
"""Of a version: how and why it was last tried, for people."""


def canary(registry: Registry, version: ModelVersion, params: Params, percent: float, order: Order) -> None:
    """Through the gate first, for it answers callers. A running one's percent may be changed at any time."""
    running = _running(registry)
    found = Trial(version=version.version, mode="canary", percent=percent, since_ms=now_ms())
    if running is not None and running.mode == "canary" and running.version == version.version:
        found = running.model_copy(update={"percent": percent})  # the same trial goes on
    else:
        decide(registry, version, _production(registry, version), params, order)
    if order.options.dry_run:
        say(f"promote: the candidate of {registry.model} would be {found.shown}; nothing was changed")
        return
    _begin(registry, found, order.why)


def shadow(registry: Registry, version: ModelVersion, why: str) -> None:
    """No gate: it answers nobody, and how it does is what one wants to know."""
    _production(registry, version)
    _begin(registry, Trial(version=version.version, mode="shadow", since_ms=now_ms()), why)


def candidate(registry: Registry, version: str | None = None) -> Trial:
    """The trial that runs, which has to be of `version` where one is named. NoCandidate."""
    name = shlex.quote(registry.model)
    found = trial.read(registry.candidate())
    if found is None:
        raise NoCandidate(f"{name} has no candidate; `promote --canary VERSION --percent 10` makes one")
    if version not in (None, found.version):
        raise NoCandidate(f"the candidate of {name} is version {found.version}, not {version}")
    return found


def reject(registry: Registry, found: Trial, reason: str, options: Options = Options()) -> None:  # noqa: B008 - frozen
    """The candidate's version says so; the trial is over."""
    version = registry.get(found.version)
    outcome = f"rejected: {reason or 'no reason given'}"
    order = Order("reject", reason, options)
    attach(registry, version, written(version, registry.production(), order, outcome))
    registry.tag(version.version, {trial.VERDICT_TAG: outcome})
    registry.end_trial()
    say(f"promote: {found.shown}, is no candidate any more: {outcome}")


def end_if_of(registry: Registry, version: str) -> None:
    """A version that has become Production is no candidate beside it."""
    try:
        running = trial.read(registry.candidate())
    except NoCandidate:  # a person wrote it, so a person may want it back
        return
    if running is not None and running.version == version:
        registry.end_trial()


def _running(registry: Registry) -> Trial | None:
    try:
        return trial.read(registry.candidate())
    except NoCandidate:  # about to be written anew
        return None


def _production(registry: Registry, version: ModelVersion) -> ModelVersion:
    current = registry.production()
    if current is None:
        raise NoCandidate(f"{registry.model} has no Production to be tried beside; promote a version first")
    if current.version == version.version:
        raise NoCandidate(f"version {version.version} of {registry.model} already is Production")
    return current


def _begin(registry: Registry, found: Trial, why: str) -> None:
    registry.try_out(found)
    registry.tag(found.version, {TAG: f"{found.shown}, by {who()}: {why or '(no reason given)'}"})
    say(f"promote: the candidate of {registry.model} is {found.shown}; `promote watch` waits for serving's verdict")
