"""`python -m infra.local up|down|status|logs`: the local stack's command line, which `make` calls."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from rich.console import Console

    from infra.local import interrupts, readiness, stack, status
    from infra.local.errors import StackError
    from infra.local.programs import PROGRAMS
    from infra.local.settings import Settings, load
except ModuleNotFoundError as missing:
    sys.exit(f"slipway: the Python library {missing.name} is not installed here: run `make setup`")

LOGS = (*PROGRAMS, "supervisord")


def main() -> int:
    arguments = _arguments()
    interrupts.raise_on_request()
    try:
        width = None if sys.stdout.isatty() else 120  # not 80: a table that wraps is hard to read and to grep
        return _run(arguments, load(Path.cwd()), Console(highlight=False, soft_wrap=True, width=width))
    except StackError as failure:
        Console(stderr=True, highlight=False, soft_wrap=True).print("slipway:", failure, style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The local stack, without Docker.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, purpose in (
        ("up", "start what is not running and wait until it answers"),
        ("status", "show each program"),
    ):
        some = verbs.add_parser(verb, help=purpose)
        some.add_argument(
            "programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(PROGRAMS)}; all if none is named"
        )
    verbs.add_parser("down", help="stop everything")
    logs = verbs.add_parser("logs", help="show the ends of the logs")
    logs.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(LOGS)}; all if none is named")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing what comes")
    chosen = parser.parse_args()
    known = LOGS if chosen.verb == "logs" else PROGRAMS
    if unknown := [name for name in getattr(chosen, "programs", ()) if name not in known]:
        parser.error(f"no program {unknown[0]}: there are {', '.join(known)}")
    return chosen


def _run(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    if arguments.verb == "down":
        stack.down(settings, console)
        return 0
    if arguments.verb == "logs":
        return _tail(settings, arguments.programs or LOGS, follow=arguments.follow)
    programs = [PROGRAMS[name] for name in arguments.programs] or list(PROGRAMS.values())
    if warning := settings.warning():
        console.print(warning, style="yellow", markup=False)
    if arguments.verb == "up":
        stack.up(settings, programs, console)
        if PROGRAMS["serving"] in programs and (reason := readiness.once_settled(settings)):
            console.print(f"{readiness.SAID}{reason}", markup=False)
        return 0
    return 0 if status.show(settings, programs, console) else 1


def _tail(settings: Settings, names: Sequence[str], *, follow: bool) -> int:
    logs = [str(settings.log(name)) for name in names if settings.log(name).exists()]
    if not logs:
        raise StackError(f"no logs in {settings.state / 'logs'} yet: nothing was started")
    os.execvp("tail", ["tail", "-n", "40", *(["-F"] if follow else []), *logs])


if __name__ == "__main__":
    sys.exit(main())
