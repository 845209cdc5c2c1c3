"""Decide which version is Production. A command, not a stage: it changes the world.

python -m pipelines.promote [best|VERSION] [--reason WHY]   gate first; `best` is what `register` made last
python -m pipelines.promote rollback [--reason WHY]         the version that was Production before
python -m pipelines.promote history                         who moved what, when and why
"""

import argparse
import getpass
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from rich.table import Table

from pipelines import tracking
from pipelines.errors import GateRefused, UnknownVersion, run
from pipelines.inspection import inspect
from pipelines.progress import say
from pipelines.records import VERSION, Registered
from pipelines.registry import Promotion, Registry
from pipelines.settings import Params, load_params, load_settings


def main() -> None:
    words = _words()
    params = load_params()
    tracking.connect(load_settings())
    registry = Registry(MlflowClient(), words.model or params.register_.model)
    registry.notice_external()
    if words.what == "history":
        say(_history(registry))
    elif words.what == "rollback":
        rollback(registry, why=words.reason)
    else:
        promote(registry, _wanted(registry, words.what), params, why=words.reason)


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="best", help="best, a version's number, rollback or history")
    parser.add_argument("--reason", default="", help="why; kept in the history")
    parser.add_argument("--model", help="registered name, where it is not params.yaml's register.model")
    return parser.parse_args()


def promote(registry: Registry, version: ModelVersion, params: Params, *, why: str) -> None:
    """Move `version` to Production; GateRefused names the checks that failed, and nothing has changed then."""
    current = registry.production()
    verdict = inspect(registry, version, current, params.evaluate)
    for check in verdict.checks:
        say(f"promote: {'pass' if check.passed else 'FAIL'}  {check.name}: {check.detail}")
    if not verdict.passed:
        raise GateRefused(f"version {version.version} stays out of Production: {verdict.refusal}")
    if current is not None and current.version == version.version:
        registry.align(version)
        say(f"promote: version {version.version} of {registry.model} already is Production")
        return
    _move(registry, version, current, why=why, how="promote")


def rollback(registry: Registry, *, why: str) -> None:
    """Make the former Production version Production again; no gate, for this is how one gets out of trouble."""
    current = registry.production()
    promoted = [
        line for line in registry.history() if current and line.version == current.version and line.how != "rollback"
    ]
    # Not simply the line before: two rollbacks in a row must not return to the version that was fled from.
    target = promoted[-1].previous if promoted else None
    if target is None:
        raise UnknownVersion(f"{registry.model} has no earlier Production to go back to")
    _move(registry, registry.get(target), current, why=why, how="rollback")


def _move(registry: Registry, version: ModelVersion, current: ModelVersion | None, *, why: str, how: str) -> None:
    previous = None if current is None else current.version
    now_ms = int(time.time() * 1000)
    registry.promote(Promotion(now_ms, version.version, previous, _who(), why, how))
    say(
        f"promote: version {version.version} of {registry.model} is Production"
        + (f", version {previous} archived" if previous else "")
    )


def _who() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # the user of a container may have a number and no name
        return "unknown"


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


def _history(registry: Registry) -> Table:
    table = Table(title=f"Production of {registry.model}", title_justify="left")
    columns: dict[str, Callable[[Promotion], str]] = {
        "when": lambda line: datetime.fromtimestamp(line.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "version": lambda line: line.version,
        "from": lambda line: line.previous or "-",
        "who": lambda line: line.who,
        "how": lambda line: line.how,
        "why": lambda line: line.why,
    }
    for name in columns:
        table.add_column(name)
    for line in registry.history():
        table.add_row(*(show(line) for show in columns.values()))
    return table


if __name__ == "__main__":
    run(main)
