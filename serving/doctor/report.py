"""Findings for people, and for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from serving.doctor.finding import Finding

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {
    "ok": "[green]ok     [/]",
    "warning": "[yellow]warning[/]",
    "failed": "[red]failed [/]",
    "skipped": "[dim]-      [/]",
}
INDENT = " " * 20


def show(findings: Sequence[Finding], console: "Console") -> None:
    """A line each, and its remedy below it."""
    from rich.markup import escape

    for each in findings:
        console.print(f"{MARKS[each.mark]}  {each.check:<9}  {escape(each.said)}", soft_wrap=True, highlight=False)
        if each.remedy:
            console.print(f"{INDENT}[bold]=>[/] {escape(each.remedy)}", soft_wrap=True, highlight=False)
    counts = Counter(each.mark for each in findings)
    console.print(f"{counts['ok']} ok, {counts['warning']} warning, {counts['failed']} failed", highlight=False)


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps({"healthy": healthy(findings), "findings": [asdict(each) for each in findings]}, indent=2)


def healthy(findings: Sequence[Finding]) -> bool:
    return all(each.mark != "failed" for each in findings)
