"""The benchmark's document: how it was measured and on what, the goals, the table."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.bench.goals import Goal, goals
from tests.bench.lines import FLOOR, Line
from tests.bench.processes import Memory
from tests.bench.turns import Pair, Turns

METHOD = """\
Written by `make bench`. Each load is put on a server and, in turns with it, on its floor (bare FastAPI, which reads the
body and predicts nothing; for gRPC an empty grpc.aio echo): {rounds} rounds of a {seconds}-second turn each, and
{surer} with one row on a twin, which most goals are about. A ratio is the median of the rounds' own ratios, with the
lowest and the highest behind it; the other figures are medians of the turns, so they need not divide to it. `mlflow
models serve` has turns of {longer} seconds, since shorter ones would end while its first answers are on their way;
"times `mlflow models serve`" is a server's ratio to bare FastAPI divided by MLflow's.

MB a worker is the resident memory (RSS) of the largest worker; behind a plus, that of its host, the process that has
the model's library, counted by PSS: a page that it shares with other hosts and the fork server counts in part."""
PEERS = """
The other peers run in environments of their own, without MLflow. They load the same pipeline from a joblib file and are
asked with bare lists of rows (MLServer: with its own protocol's tensors), of which they make an array at once; `mlflow
models serve` and Slipway are asked with MLflow's tables. "batching" is the peer's own, of up to 16 requests, for which
MLServer, LitServe and Ray Serve wait at most 5 ms."""
TOOLS = "- Two workers each; a row is 30 numbers. HTTP by wrk, gRPC by h2load with one call at a time a connection."
COLUMNS = (
    "protocol",
    "server",
    "model",
    "rows",
    "connections",
    "req/s",
    "floor's",
    "ratio",
    "p50 ms",
    "floor's",
    "p99 ms",
    "floor's",
    "MB a worker",
)
LEFT = 3
"""Columns of words; figures are aligned to the right."""


def markdown(
    lines: list[Line],
    turns: Turns,
    peers: Mapping[str, str | None],
    left_out: Sequence[str] = (),
    repeated: Sequence[str] = (),
) -> str:
    """The whole document; `peers` are their versions, `left_out` what could not be measured, `repeated` turns."""
    method = METHOD.format(
        rounds=turns.rounds, surer=turns.surer.rounds, seconds=turns.seconds, longer=turns.longer.seconds
    )
    beside = [f"- {', '.join(f'{name} {release}' for name, release in peers.items())}"] if peers else []
    told = [method, PEERS] if peers else [method]
    head = ["# Benchmarks", "", *told, "", *machine(), TOOLS, *beside, *_steadiness(lines), ""]
    aims = [_goal(each) for each in goals(lines)]
    if aims:
        aims = ["| goal | seen | wanted | |", "|---|---|---:|---|", *aims, ""]
    rule = "|".join(["---"] * LEFT + ["---:"] * (len(COLUMNS) - LEFT))
    table = [f"| {' | '.join(COLUMNS)} |", f"|{rule}|", *(_row(each) for each in lines)]
    apart = {"Left out:": left_out, "Measured again, since not every answer was a 200:": repeated}
    remarks = [line for title, each in apart.items() if each for line in ("", title, "", *(f"- {one}" for one in each))]
    return "\n".join([*head, *aims, *table, *remarks, ""])


def machine() -> list[str]:
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    names = ("fastapi", "uvicorn", "onnxruntime", "mlflow", "scikit-learn", "grpcio", "numpy")
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return [
        f"- {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {cpu}, {memory:.0f} GiB; {system}",
        f"- {', '.join(f'{name} {version(name)}' for name in names)}",
    ]


def ratio(pair: Pair) -> str:
    """With the lowest and the highest round behind it, if there were several."""
    each = sorted(one.speed for one in pair.rounds)
    spread = f" ({_short(each[0])} to {_short(each[-1])})" if len(each) > 1 else ""
    return f"{_short(pair.speed)}{spread}"


def _steadiness(lines: list[Line]) -> list[str]:
    """How much the machine's speed changed while it was measured, said by the server that did the same all along."""
    seen = [x.pair.floor.per_second for x in lines if (x.protocol, x.rows, x.connections) == ("REST", 1, 32)]
    return [f"- {FLOOR}, 1 row, 32 connections, in the course of this run: {min(seen):,.0f} to {max(seen):,.0f} req/s."]


def _goal(each: Goal) -> str:
    seen = ", ".join(f"{model} {_digits(value)}" for model, value in each.seen.items())
    sign, verdict = "≤" if each.at_most else "≥", "reached" if each.reached else "NOT reached"
    return f"| {each.name} | {seen} | {sign} {each.wanted:g} | {verdict} |"


def _row(line: Line) -> str:
    seen, floor = line.pair.served, line.pair.floor
    cells = (
        *(line.protocol, line.server, line.model, str(line.rows), str(line.connections)),
        *(f"{seen.per_second:,.0f}", f"{floor.per_second:,.0f}", ratio(line.pair)),
        *(f"{seen.p50_ms:.2f}", f"{floor.p50_ms:.2f}", f"{seen.p99_ms:.2f}", f"{floor.p99_ms:.2f}"),
        _megabytes(line.memory),
    )
    return f"| {' | '.join(cells)} |"


def _megabytes(memory: Memory) -> str:
    return f"{memory.worker_mb:.0f}" + ("" if memory.host_mb is None else f" + {memory.host_mb:.0f}")


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _digits(value: float) -> str:
    """Three, or all before the point: 0.596 must not read as the 0.6 that it misses."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
