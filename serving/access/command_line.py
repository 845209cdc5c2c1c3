"""`python -m serving keys`: make, list, rotate and revoke API keys."""

import argparse
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dotenv import dotenv_values
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serving.access import key_file, secret
from serving.access.key_file import KeysUnreadable, Record
from serving.access.scopes import grant

ABOUT = "Make, list, rotate and revoke the API keys that callers are known by."
FILE = Path(".slipway/access/keys.json")
VARIABLE = "SERVING_AUTH__KEYS"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = "%Y-%m-%d %H:%M"


class Wrong(Exception):
    """What to tell whoever typed the command."""


@dataclass(frozen=True)
class Said:
    """For people, on stderr, and a key, on stdout for programs."""

    people: str
    key: str | None = None


def describe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, help=f"their file; {VARIABLE} if not given, else {FILE}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True)
    create = verbs.add_parser("create", help="a new key, printed once")
    create.add_argument("--name", required=True, help="whose it is, for people")
    create.add_argument(
        "--scopes", default="predict", help="comma-separated: predict, jobs, predict:MODEL, ... (predict)"
    )
    create.add_argument("--expires", type=_span, help="after so long, such as 90d or 12h; never if not given")
    create.add_argument("--rate", type=_rate, help="requests a second; SERVING_LIMITS__RATE if not given")
    rotate = verbs.add_parser("rotate", help="a new key in place of one, which stays good for a while")
    rotate.add_argument("id")
    rotate.add_argument("--overlap", type=_span, default=timedelta(days=1), help="how long the old one is good (1d)")
    verbs.add_parser("revoke", help="a key is good no more").add_argument("id")
    verbs.add_parser("list", help="all of them, without the keys")


def run(words: argparse.Namespace) -> int:
    try:
        said = _done(words, datetime.now(UTC))
    except (Wrong, KeysUnreadable) as error:
        _tell(f"serving: {error}")
        return 1
    except OSError as error:
        _tell(f"serving: {path_of(words.file)}: {error.strerror}")
        return 1
    _tell(said.people)
    if said.key is not None:
        print(said.key)  # noqa: T201 - what the command is for
    return 0


def path_of(given: Path | None) -> Path:
    """Of the file: by the command, by the environment or .env, else where it usually is."""
    return given or named_by_setting() or FILE


def named_by_setting() -> Path | None:
    """The file that serving reads, as far as can be seen from here: the environment counts more than .env."""
    named = os.environ[VARIABLE] if VARIABLE in os.environ else dotenv_values(".env").get(VARIABLE)
    return Path(named) if named else None


def _done(words: argparse.Namespace, now: datetime) -> Said:
    path = path_of(words.file)
    if words.verb == "list":
        _show(key_file.read(path), now)
        return Said(f"from {path}")
    with key_file.changing(path) as records:
        if words.verb == "create":
            return _create(records, words, path, now)
        if words.id not in records:
            raise Wrong(f"there is no key {words.id} in {path}; `python -m serving keys list` shows them")
        if words.verb == "revoke":
            del records[words.id]
            return Said(f"key {words.id} is revoked; servers that read {path} refuse it within two seconds")
        return _rotate(records, records[words.id], words.overlap, now)


def _create(records: dict[str, Record], words: argparse.Namespace, path: Path, now: datetime) -> Said:
    scopes = tuple(each.strip() for each in words.scopes.split(",") if each.strip())
    try:
        for each in scopes:
            grant(each)
    except ValueError as error:
        raise Wrong(f"--scopes: {error}") from error
    if not scopes:
        raise Wrong("--scopes: none is given")
    made = secret.made()
    expires = None if words.expires is None else now + words.expires
    records[made.id] = Record(made.id, words.name, made.digest, scopes, now, expires, words.rate)
    told = f"key {made.id} for {words.name}, {', '.join(scopes)}, in {path}; it is shown this once"
    return Said(f"{told}{_until_asked_for(path)}", made.key)


def _until_asked_for(path: Path) -> str:
    """What is to be done before anybody is asked for a key."""
    if named_by_setting() is not None:
        return ""
    return f"\nserving asks for keys once .env has {VARIABLE}={path} and it was started again (containers ask already)"


def _rotate(records: dict[str, Record], old: Record, overlap: timedelta, now: datetime) -> Said:
    if old.expires is not None and old.expires <= now:
        raise Wrong(f"key {old.id} has expired already; `python -m serving keys create` makes another")
    if old.rotated_to is not None:
        raise Wrong(f"key {old.id} was rotated before, to {old.rotated_to}")
    made = secret.made()
    # As long as the old one was meant to be good, from now on.
    expires = None if old.expires is None else now + (old.expires - old.created)
    records[made.id] = Record(made.id, old.name, made.digest, old.scopes, now, expires, old.rate)
    until = now + overlap if old.expires is None else min(old.expires, now + overlap)
    records[old.id] = Record(old.id, old.name, old.digest, old.scopes, old.created, until, old.rate, made.id)
    return Said(f"key {made.id} is in place of {old.id}, which is good until {until.astimezone():{_TIME}}", made.key)


def _show(records: tuple[Record, ...], now: datetime) -> None:
    table = Table("id", "name", "scopes", "rate", "created", "expires", box=None)
    for each in sorted(records, key=lambda record: record.created):
        rate = "" if each.rate is None else f"{each.rate:g}/s"
        created = f"{each.created.astimezone():{_TIME}}"
        named = Text(each.id), Text(each.name), Text(", ".join(each.scopes))  # what is in brackets is no markup
        table.add_row(*named, rate, created, _expiry(each, now))
    Console().print(table)


def _expiry(record: Record, now: datetime) -> str:
    if record.expires is None:
        return "never"
    told = f"{record.expires.astimezone():{_TIME}}"
    if record.expires <= now:
        return f"{told}, expired"
    return f"{told}, rotated to {record.rotated_to}" if record.rotated_to else told


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError("not a time such as 90d, 12h, 30m or 10s")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate < 1e9:
        raise argparse.ArgumentTypeError("not a number of requests a second")
    return rate


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201 - said to whoever typed the command
