"""`make demo`: the main job on real data, from an empty folder to an answered request.

Each step is the command that a person would type; this only calls them in order and shows what came of it. Run again,
it does what has changed.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.local import interrupts, report, settings, stack
from infra.local.caller import Caller
from infra.local.errors import StackError
from infra.local.patience import until
from infra.local.programs import PROGRAMS
from infra.local.report import Outcome
from infra.local.settings import Settings

SERVED_WITHIN_SECONDS = 60


def main() -> int:
    interrupts.raise_on_request()
    console = Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 120)
    try:
        _demo(settings.load(Path.cwd()), console)
    except StackError as failure:
        Console(stderr=True, highlight=False, soft_wrap=True).print("slipway:", failure, style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _demo(here: Settings, console: Console) -> None:
    started = time.monotonic()
    steps: Mapping[str, Callable[[], None]] = {
        "the local stack: S3, MLflow, serving": lambda: stack.up(here, list(PROGRAMS.values()), console),
        "the pipeline: data, runs, a version": lambda: _python(here, "pipelines"),
        "the gate, then Production": lambda: _python(here, "pipelines.promote", "best", "--reason", "make demo"),
    }
    for number, (title, step) in enumerate(steps.items(), 1):
        console.rule(f"{number}/{len(steps) + 1}  {title}", align="left")
        step()
    console.rule(f"{len(steps) + 1}/{len(steps) + 1}  a request", align="left")
    _show(here, console)
    console.print(f"done in {time.monotonic() - started:.0f} s; the stack stays up: make status, make logs, make down")


def _python(here: Settings, module: str, *words: str) -> None:
    """Run a module as a person would, its output in plain sight."""
    ended = subprocess.run([sys.executable, "-m", module, *words], cwd=here.root, env=dict(here.env), check=False)
    if ended.returncode:
        raise StackError(
            f"`python -m {module}` stopped; the reason is above. The stack is still up: `make down` stops it"
        )


def _show(here: Settings, console: Console) -> None:
    outcome = report.read(here.root)
    serving = Caller.of(here)
    seen: dict[str, Any] = {}

    def served() -> bool:
        seen.update(serving.known(f"/v2/models/{outcome.model}"))
        return str(seen.get("version")) == outcome.version

    with console.status(f"waiting until serving answers with version {outcome.version}"):
        if not until(served, seconds=SERVED_WITHIN_SECONDS):
            raise StackError(
                f"serving does not answer with version {outcome.version} of {outcome.model}: "
                f"{seen.get('detail') or 'it answers with version ' + str(seen.get('version'))}; see `make logs`"
            )
    _print(outcome, here, console, serving)


def _print(outcome: Outcome, here: Settings, console: Console, serving: Caller) -> None:
    console.print(report.candidates(outcome))
    console.print(f"Production is version {outcome.version} of {outcome.model}, {outcome.best}: {outcome.why}")
    console.print()
    console.print(report.predictions(outcome, serving))
    console.print(f"MLflow UI  {PROGRAMS['mlflow'].url(here)}")
    console.print(f"API docs   {serving.url}/docs")
    console.print(f"S3         {PROGRAMS['s3'].url(here)}, user {here.env['AWS_ACCESS_KEY_ID']}, secret in .env")


if __name__ == "__main__":
    sys.exit(main())
