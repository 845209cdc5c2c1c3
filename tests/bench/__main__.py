"""`make bench`: measure, print the table, write docs/benchmarks.md. About twenty minutes.

Without some models, MLflow or Slipway, it prints and writes nothing: the document is about a whole run. Peers are
measured where their environments are (`peers/README.md`); all four take as much time again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.bench import loads, report
from tests.bench.bench import MLFLOW, SLIPWAY, Bench, Chosen
from tests.bench.lines import Line
from tests.bench.models import MODELS, made_in
from tests.bench.peers.environments import PEERS, absent, found
from tests.bench.turns import turns_of
from tests.servers import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
SERVERS = (MLFLOW, SLIPWAY, *PEERS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="of each load on each of the two servers, in turns")
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--servers", nargs="*", choices=SERVERS, default=list(SERVERS), help="which to measure")
    parser.add_argument("--keep", type=Path, help="folder for the models, so that the next run need not train them")
    words = parser.parse_args()
    lacking = loads.missing()
    if lacking:
        print(f"bench: no load generator: apt-get install {' '.join(lacking)}", file=sys.stderr)  # noqa: T201
        return 1
    console, turns = Console(), turns_of(words.seconds)
    asked = [each for each in PEERS if each in words.servers]
    chosen = Chosen(words.models, words.servers, found(asked))
    # A log that a killed process was still writing is no reason to lose the figures.
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if not_there := absent(asked, chosen.peers):
            console.out(not_there, highlight=False)
        console.print("bench: training the models and making their twins")
        bench = Bench(made_in(words.keep or folder), folder, turns)
        lines = _watched(bench, chosen, console)
    versions = {each.title: each.version for each in chosen.peers}
    text = report.markdown(lines, turns, versions, bench.left_out, bench.repeated)
    if set(words.models) == set(MODELS) and {MLFLOW, SLIPWAY} <= set(words.servers):
        DOCUMENT.write_text(text)
    console.out(text, highlight=False)  # as it is: a terminal is too narrow for rich to show the table whole
    return 0


def _watched(bench: Bench, chosen: Chosen, console: Console) -> list[Line]:
    lines: list[Line] = []
    with Progress(console=console) as progress:
        task = progress.add_task("measuring", total=chosen.lines)
        for line in bench.lines(chosen):
            lines.append(line)
            what = f"{line.protocol} {line.server} {line.model} {line.rows}x{line.connections}"
            progress.update(task, advance=1, description=f"{what}: {report.ratio(line.pair)} of the floor")
    return lines


if __name__ == "__main__":
    sys.exit(main())
