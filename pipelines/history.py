"""What was Production, since when and who moved it: the lines that the registry keeps, and questions to them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

EXTERNAL = "external"
ROLLBACK = "rollback"


@dataclass(frozen=True)
class Promotion:
    """One line of the history. `previous` is the version that was Production before, None for the first."""

    at_ms: int
    version: str | None
    """None: somebody left the model without a Production."""
    previous: str | None
    who: str
    why: str
    how: str
    """`promote` or `rollback`; `external` when somebody moved it in the MLflow UI."""
    earliest_ms: int | None = None
    """It was moved between then and `at_ms`, the moment it was noticed; None when `at_ms` is the time."""

    @property
    def exact(self) -> bool:
        return self.earliest_ms is None


@dataclass(frozen=True)
class Answer:
    """To what was Production at a moment: `line` put it there, unless `perhaps` had already taken its place."""

    line: Promotion | None
    perhaps: Promotion | None


def at(lines: Sequence[Promotion], moment_ms: int) -> Answer:
    """`lines` oldest first."""
    before = [line for line in lines if line.at_ms <= moment_ms]
    after = next((line for line in lines if line.at_ms > moment_ms), None)
    perhaps = after if after and after.earliest_ms is not None and after.earliest_ms <= moment_ms else None
    return Answer(before[-1] if before else None, perhaps)


def former(lines: Sequence[Promotion], version: str | None) -> str | None:
    """What was Production before `version` was moved there; None when nothing was. `lines` oldest first.

    Rollbacks do not count: two in a row must not return to the version that was fled from.
    """
    moved = [at for at, line in enumerate(lines) if line.version == version and line.how != ROLLBACK]
    if not moved:
        return None
    earlier = (line.version for line in reversed(lines[: moved[-1]]) if line.version not in (None, version))
    return lines[moved[-1]].previous or next(earlier, None)


def told(model: str, answer: Answer, moment_ms: int) -> str:
    """In words."""
    sure = f"{shown(moment_ms)}: Production of {model} was {_what(answer.line)}"
    if answer.perhaps is None:
        return sure
    return f"{sure}, or already {_what(answer.perhaps)}"


def _what(line: Promotion | None) -> str:
    if line is None:
        return "none that is on record"
    version = "no version" if line.version is None else f"version {line.version}"
    if line.earliest_ms is not None:
        when = f"moved outside of Slipway between {shown(line.earliest_ms)} and {shown(line.at_ms)}"
    else:
        when = f"{'moved outside of Slipway at' if line.how == EXTERNAL else 'since'} {shown(line.at_ms)}"
    by = "" if line.how == EXTERNAL else f", {line.how} by {line.who}"
    return f"{version} ({when}{by}{': ' + line.why if line.why else ''})"


def table(model: str, lines: Sequence[Promotion]) -> Table:
    """Oldest first; a time that is only an upper limit is marked."""
    found = Table(title=f"Production of {model}", title_justify="left")
    for name in ("when", "version", "from", "who", "how", "why"):
        found.add_column(name, no_wrap=name != "why", overflow="fold")
    for line in lines:
        when = shown(line.at_ms) if line.exact else f"not later than {shown(line.at_ms)}"
        found.add_row(when, line.version or "none", line.previous or "-", line.who, line.how, line.why)
    return found


def shown(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment(text: str) -> int:
    """Milliseconds of an ISO 8601 time; without an offset it is UTC, as in the table. ValueError."""
    found = datetime.fromisoformat(text)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
