"""Decide which version is Production, and which is tried beside it. A command, not a stage: it changes the world.

python -m pipelines.promote [best|VERSION]        gate first; `best` is what `register` made last
python -m pipelines.promote rollback              the version that was Production before; no gate
python -m pipelines.promote history [--at TIME]   who moved what, when and why; what was Production at a time
python -m pipelines.promote --shadow VERSION      it hears a copy of every request and answers nobody
python -m pipelines.promote --canary VERSION --percent 10   gate first; it answers a share of the callers
python -m pipelines.promote watch                 wait for serving's verdict on the candidate, then promote or reject it
python -m pipelines.promote reject                end the trial; --no-candidate ends it without a verdict
"""

from dataclasses import replace

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines import history, keys, tracking, trial
from pipelines.errors import NoCandidate, Undecided, UnknownVersion, run
from pipelines.history import ROLLBACK, Promotion
from pipelines.progress import say
from pipelines.promotion import command_line, trials, watch
from pipelines.promotion.command_line import MINUTES, REQUESTS, Words
from pipelines.promotion.decision import Options, Order, decide, now_ms, who
from pipelines.promotion.watch import Limits
from pipelines.records import VERSION, Registered
from pipelines.registry import Registry
from pipelines.settings import Params, load_params, load_settings
from pipelines.trial import Trial


def main() -> None:
    words = command_line.read(__doc__)
    params, settings = load_params(), load_settings()
    tracking.reach(settings)
    tracking.expect_answer(settings.mlflow_tracking_uri)
    tracking.connect(settings)
    registry = Registry(MlflowClient(), words.model or params.register_.model)
    options = Options(words.dry_run, words.allow_signature_change, keys.load(settings.signing_key))
    if not options.dry_run and words.command != "history":
        registry.notice_external()
    if words.command == "history":
        show_history(registry, words.at)
    elif words.command == "promote":
        promote(registry, _wanted(registry, words.wanted), params, why=words.reason, options=options)
    elif words.command == "rollback":
        rollback(registry, why=words.reason)
    elif words.command == "watch":
        servers = words.serving or [url.strip() for url in settings.serving_url.split(",")]
        conclude(registry, params, servers, _limits(words), Order("promote", words.reason, options))
    else:
        _try_out(registry, params, words, options)


def _try_out(registry: Registry, params: Params, words: Words, options: Options) -> None:
    if words.command == "canary":
        order = Order("canary", words.reason, options)
        trials.canary(registry, _wanted(registry, words.wanted), params, words.percent or 0, order)
    elif words.command == "shadow":
        trials.shadow(registry, _wanted(registry, words.wanted), words.reason)
    elif words.command == "reject":
        trials.reject(registry, trials.candidate(registry, words.version), words.reason)
    else:
        registry.end_trial()
        say(f"promote: {registry.model} has no candidate")


def promote(
    registry: Registry, version: ModelVersion, params: Params, *, why: str, options: Options | None = None
) -> None:
    """Move `version` to Production; GateRefused names the checks that failed, and nothing has been moved then."""
    order = Order("promote", why, options or Options())
    current = registry.production()
    decide(registry, version, current, params, order)
    already = current is not None and current.version == version.version
    if order.options.dry_run:
        would = "already is" if already else "would become"
        say(f"promote: version {version.version} of {registry.model} {would} Production; nothing was changed")
        return
    if already:
        registry.align(version)
        say(f"promote: version {version.version} of {registry.model} already is Production")
    else:
        _move(registry, version, current, why=why, how="promote")
    trials.end_if_of(registry, version.version)


def rollback(registry: Registry, *, why: str) -> None:
    """Make the former Production version Production again; no gate, for this is how one gets out of trouble."""
    current = registry.production()
    target = history.former(registry.history(), None if current is None else current.version)
    if target is None:
        raise UnknownVersion(f"{registry.model} has no earlier Production to go back to")
    _move(registry, registry.get(target), current, why=why, how=ROLLBACK)
    registry.end_trial()


def conclude(registry: Registry, params: Params, servers: list[str], limits: Limits, order: Order) -> None:
    """Watch the candidate and do what serving's verdict says. Undecided: there was none, and nothing has changed."""
    found = trials.candidate(registry)
    registry.get(found.version)
    watched = watch.watch(servers, registry.model, found, limits, still=lambda: _still(registry, found))
    outcome = watched.outcome
    if outcome.kind == "nothing":
        raise Undecided(f"no verdict on {found.shown}, nothing was changed: {outcome.reason}")
    if not _is_of(registry.candidate(), found):
        raise NoCandidate(f"{found.shown}, is no candidate any more; nothing was changed")
    options = replace(order.options, traffic=watched.heard)
    if outcome.kind == "reject":
        trials.reject(registry, found, outcome.reason, options)
        return
    why = f"{order.why}; {outcome.reason}" if order.why else outcome.reason
    promote(registry, registry.get(found.version), params, why=why, options=options)


def show_history(registry: Registry, at_ms: int | None) -> None:
    line = registry.unrecorded()
    if line is not None:
        registry.notice_external()
    lines = registry.history()
    if at_ms is None:
        say(history.table(registry.model, lines))
    else:
        say(history.told(registry.model, history.at(lines, at_ms), at_ms))


def _move(registry: Registry, version: ModelVersion, current: ModelVersion | None, *, why: str, how: str) -> None:
    previous = None if current is None else current.version
    registry.promote(Promotion(now_ms(), version.version, previous, who(), why, how))
    say(
        f"promote: version {version.version} of {registry.model} is Production"
        + (f", version {previous} archived" if previous else "")
    )


def _still(registry: Registry, found: Trial) -> bool:
    """A registry that does not answer now is asked again at the end."""
    try:
        return _is_of(registry.candidate(), found)
    except MlflowException:
        return True


def _is_of(tag: str | None, found: Trial) -> bool:
    """Another percent is no other trial."""
    try:
        now = trial.read(tag)
    except NoCandidate:
        return False
    return now is not None and now.is_trial_of(found.version, found.since_ms)


def _limits(words: Words) -> Limits:
    return Limits(words.minutes or MINUTES, REQUESTS if words.requests is None else words.requests)


def _wanted(registry: Registry, what: str) -> ModelVersion:
    if what != "best":
        return registry.get(what)
    if VERSION.exists():
        found = Registered.model_validate_json(VERSION.read_text())
        if found.model == registry.model:
            return registry.get(found.version)
    versions = registry.versions()
    if not versions:
        raise UnknownVersion(f"{registry.model} has no version yet; `dvc repro` makes one")
    return versions[0]


if __name__ == "__main__":
    run(main)
