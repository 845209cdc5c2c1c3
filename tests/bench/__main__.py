"""`make bench`: measure, print the table, write docs/benchmarks.md. About seven minutes."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tests.bench import loads, targets
from tests.bench.calls import infer_request
from tests.bench.models import MODELS, ROWS, Made, made_in
from tests.bench.report import Line, markdown
from tests.bench.targets import Target
from tests.servers import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
RUNTIMES = ("onnx", "native", "pyfunc")
CONNECTIONS = (1, 32)
METHOD = "/inference.GRPCInferenceService/ModelInfer"


class Bench:
    def __init__(self, made: Made, folder: Path, *, seconds: int) -> None:
        self._made, self._folder, self._seconds = made, folder, seconds

    def lines(self, models: list[str]) -> Iterator[Line]:
        """In the order of the table."""
        with targets.floor(self._folder) as target:
            yield from self._rest(target, "-")
        with targets.echo(self._folder) as target:
            yield from self._grpc(target, "-", ROWS[:1])
        for model in models:
            with targets.mlflow_serve(self._made, model, self._folder) as target:
                yield from self._rest(target, model)
            for runtime in RUNTIMES:
                with targets.slipway(self._made, model, runtime, self._folder) as target:
                    yield from self._rest(target, model)
                    if runtime == "onnx":
                        yield from self._grpc(target, model, ROWS)

    def _rest(self, target: Target, model: str) -> Iterator[Line]:
        for rows in ROWS:
            for connections in CONNECTIONS:
                body = self._made.bodies[rows]
                loads.http(target.port, body, connections=connections, seconds=1)
                seen = loads.http(target.port, body, connections=connections, seconds=self._seconds)
                yield Line("REST", target.name, model, rows, connections, seen, target.worker_mb)

    def _grpc(self, target: Target, model: str, counts: tuple[int, ...]) -> Iterator[Line]:
        for rows in counts:
            message = infer_request(self._made, model, rows)
            for connections in CONNECTIONS:
                words = {"connections": connections, "seconds": self._seconds, "folder": self._folder}
                seen = loads.grpc(target.grpc_port, METHOD, message, **words)  # type: ignore[arg-type]  # as named
                yield Line("gRPC", target.name, model, rows, connections, seen, target.worker_mb)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--keep", type=Path, help="folder for the models, so that the next run need not train them")
    words = parser.parse_args()
    lacking = loads.missing()
    if lacking:
        print(f"bench: no load generator: apt-get install {' '.join(lacking)}", file=sys.stderr)  # noqa: T201
        return 1
    console = Console()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        console.print("bench: training the models and making their twins")
        bench = Bench(made_in(words.keep or folder), folder, seconds=words.seconds)
        lines: list[Line] = []
        with Progress(console=console) as progress:
            steps = 6 + len(words.models) * (4 + 4 * len(RUNTIMES) + 4)
            task = progress.add_task("measuring", total=steps)
            for line in bench.lines(words.models):
                lines.append(line)
                what = f"{line.protocol} {line.server} {line.model} {line.rows}x{line.connections}"
                progress.update(task, advance=1, description=f"{what}: {line.measured.per_second:,.0f}/s")
    text = markdown(lines)
    DOCUMENT.write_text(text)
    console.print(Markdown(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
