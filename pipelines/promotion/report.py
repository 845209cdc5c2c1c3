"""The promotion report: what every check found, for people (a table, markdown) and for programs (JSON). Pure."""

import re
from collections.abc import Mapping

from pydantic import BaseModel
from rich.table import Table

from pipelines import history
from pipelines.gate import Check, Verdict
from pipelines.promotion.heard import Heard

TITLE = "### Promotion report"
LONGEST_DESCRIPTION = 5000
"""Characters that MLflow's database has for a version's description."""
BRIEF = 160
"""Characters of a check's detail in a description; the report itself has all of them."""


class Report(BaseModel, frozen=True):
    """Why a version was promoted, refused or rejected. It is attached to the version in every case."""

    model: str
    version: str
    current: str | None
    """The version that was Production then."""
    at_ms: int
    who: str
    why: str
    asked: str
    """For what: `promote`, `canary`, `reject`."""
    outcome: str
    verdict: Verdict
    traffic: dict[str, Heard] = {}
    """What each server said of the candidate, by its address; empty where there was no trial."""


def table(checks: list[Check]) -> Table:
    found = Table(title="Gate", title_justify="left")
    found.add_column("check", no_wrap=True)
    found.add_column("", no_wrap=True)
    found.add_column("what was found", overflow="fold")
    for check in checks:
        found.add_row(check.name, _word(check), check.detail)
    return found


def markdown(report: Report) -> str:
    lines = [
        f"# {report.model} version {report.version}: {report.outcome}",
        "",
        f"Asked to {report.asked} by {report.who} at {history.shown(report.at_ms)}"
        + (f": {report.why}" if report.why else "")
        + f". Production was {'no version' if report.current is None else f'version {report.current}'} then.",
        "",
        *_rows(report.verdict.checks),
    ]
    return "\n".join(lines + _traffic(report.traffic)) + "\n"


def described(text: str, report: Report, *, where: str) -> str:
    """A version's description with this report in it, in place of the one before; `where` the whole one is.

    Cut to what MLflow keeps: the table goes first, then the report; what people have written stays.
    """
    own = re.sub(rf"\n*{re.escape(TITLE)}.*?(?=\n#|\Z)", "", text, flags=re.DOTALL).rstrip()
    head = [TITLE, "", f"**{report.outcome}** at {history.shown(report.at_ms)} by {report.who}. {where}".rstrip()]
    for more in (["", *_rows(report.verdict.checks, most=BRIEF)], []):
        found = "\n".join(([own, ""] if own else []) + head + more)
        if len(found) <= LONGEST_DESCRIPTION:
            return found
    return text


def _rows(checks: list[Check], *, most: int | None = None) -> list[str]:
    if not checks:
        return []
    lines = ["| check | | what was found |", "|---|---|---|"]
    return lines + [f"| {check.name} | {_word(check)} | {_cell(check.detail, most)} |" for check in checks]


def _word(check: Check) -> str:
    if check.passed:
        return "pass"
    return "FAIL" if check.required else "fail, not required"


def _cell(text: str, most: int | None) -> str:
    short = text if most is None or len(text) <= most else f"{text[:most]}…"
    return " ".join(short.replace("|", "\\|").split())


def _traffic(heard: Mapping[str, Heard]) -> list[str]:
    if not heard:
        return []
    lines = [
        "",
        "| server | state | requests | errors | p99 | compared | disagreed | Production: requests | errors | p99 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for url, word in heard.items():
        before = word.production
        former = ["-"] * 3 if before is None else [str(before.requests), str(before.errors), _ms(before.p99_ms)]
        told = [str(word.requests), str(word.errors), _ms(word.p99_ms), str(word.compared), str(word.disagreed)]
        lines.append(f"| {' | '.join([url, _cell(f'{word.state} {word.reason}', None), *told, *former])} |")
    return lines


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"
