"""What `python -m pipelines.promote` may be told. An option that would do nothing is refused."""

import argparse
from collections.abc import Sequence
from typing import Literal, get_args

from pipelines import history

Command = Literal["promote", "rollback", "history", "watch", "reject", "canary", "shadow", "no-candidate"]
WORDS: tuple[Command, ...] = ("rollback", "history", "watch", "reject")
"""Commands that are words of their own; anything else in their place is a version."""
MINUTES, REQUESTS = 10.0, 100
LONGEST_REASON = 1000
"""Characters; the history is kept in tags of limited length."""
GATED: tuple[Command, ...] = ("promote", "canary")
FOR: dict[str, tuple[Command, ...]] = {
    "dry_run": GATED,
    "allow_signature_change": (*GATED, "watch"),
    "percent": ("canary",),
    "at": ("history",),
    "serving": ("watch",),
    "minutes": ("watch",),
    "requests": ("watch",),
    "reason": ("promote", "rollback", "watch", "reject", "canary", "shadow"),
    "version": ("reject",),
}
"""The commands that an option means something to."""


class Words(argparse.Namespace):
    command: Command
    what: str | None
    version: str | None
    canary: str | None
    shadow: str | None
    no_candidate: bool
    percent: float | None
    dry_run: bool
    allow_signature_change: bool
    at: int | None
    serving: list[str] | None
    minutes: float | None
    requests: int | None
    reason: str
    model: str | None

    @property
    def wanted(self) -> str:
        """The version that is meant; `best` where none is named."""
        return self.canary or self.shadow or self.what or "best"


def read(description: str | None, arguments: Sequence[str] | None = None) -> Words:
    """SystemExit with one line for what makes no sense together."""
    parser = _parser(description)
    words = parser.parse_args(arguments, namespace=Words())
    trial = next((name for name in ("canary", "shadow", "no_candidate") if getattr(words, name)), None)
    if trial and words.what:
        parser.error(f"--{trial.replace('_', '-')} and {words.what!r}: say one of them")
    words.command = _command(words, trial)
    for name, commands in FOR.items():
        if _given(getattr(words, name)) and words.command not in commands:
            shown = repr(words.version) if name == "version" else f"--{name.replace('_', '-')}"
            parser.error(f"{shown} means nothing to {words.command!r}, only to {', '.join(commands)}")
    if words.command == "canary" and words.percent is None:
        parser.error("--canary needs --percent, its share of the callers")
    return words


def _given(value: object) -> bool:
    return value is not None and value is not False and value != ""


def _command(words: Words, trial: str | None) -> Command:
    named = (trial or "").replace("_", "-") or words.what
    return next((command for command in get_args(Command) if command == named and command != "promote"), "promote")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.promote",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", help=f"best (if not given), a version's number, {', '.join(WORDS)}")
    parser.add_argument("version", nargs="?", help="reject: the candidate that is meant")
    parser.add_argument("--model", help="registered name, where it is not params.yaml's register.model")
    parser.add_argument("--reason", type=_reason, default="", help="why; kept in the history and the report")
    parser.add_argument("--dry-run", action="store_true", help="make every check, change nothing")
    parser.add_argument("--allow-signature-change", action="store_true", help="let callers of the former version break")
    candidates = parser.add_mutually_exclusive_group()
    candidates.add_argument("--canary", metavar="VERSION", help="it answers a share of the callers")
    candidates.add_argument("--shadow", metavar="VERSION", help="it hears a copy of the requests and answers nobody")
    candidates.add_argument("--no-candidate", action="store_true", help="end the trial without a verdict")
    parser.add_argument("--percent", type=_percent, metavar="P", help="canary: the share, 0 to 100")
    parser.add_argument("--at", type=_moment, metavar="TIME", help="history: what was Production then (ISO 8601, UTC)")
    parser.add_argument("--serving", action="append", metavar="URL", help="watch: a server to ask; may be repeated")
    parser.add_argument("--minutes", type=_positive, help=f"watch: how long it has to do well ({MINUTES:g})")
    parser.add_argument("--requests", type=_whole, help=f"watch: how many it has to have had by then ({REQUESTS})")
    return parser


def _reason(text: str) -> str:
    if len(text) > LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"at most {LONGEST_REASON} characters, this has {len(text)}")
    return text


def _percent(text: str) -> float:
    if not 0 <= (found := _number(text)) <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return int(found) if found == int(found) else found


def _positive(text: str) -> float:
    if not 0 < (found := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _moment(text: str) -> int:
    try:
        return history.moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-23T12:00") from None
