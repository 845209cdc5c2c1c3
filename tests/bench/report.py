"""The benchmark's table: figures, their ratio to the floor of the same run, and the targets they are held to."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.bench.loads import Measured

FLOOR = "bare FastAPI"
ECHO = "empty grpc.aio echo"
MLFLOW = "mlflow models serve"


@dataclass(frozen=True)
class Line:
    protocol: str
    server: str
    model: str
    rows: int
    connections: int
    measured: Measured
    worker_mb: float


@dataclass(frozen=True)
class Target:
    """`seen` of the worst model; reached when it is on the right side of `wanted`."""

    name: str
    seen: float
    wanted: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        return self.seen <= self.wanted if self.at_most else self.seen >= self.wanted


def markdown(lines: list[Line]) -> str:
    """The whole document."""
    found = targets(lines)
    head = [
        "# Benchmarks",
        "",
        "Written by `make bench`; every ratio is of figures from this one run.",
        "",
        *machine(),
        "",
    ]
    goals = ["| target | seen, worst model | wanted | |", "|---|---:|---:|---|", *(_goal(each) for each in found)]
    columns = (
        "| protocol | server | model | rows | connections | req/s | p50 ms | p99 ms | MB a worker | of the floor |"
    )
    table = [columns, "|---|---|---|---:|---:|---:|---:|---:|---:|---:|", *(_row(each, lines) for each in lines)]
    return "\n".join([*head, *goals, "", *table, ""])


def machine() -> list[str]:
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    names = ("fastapi", "uvicorn", "onnxruntime", "mlflow", "scikit-learn", "grpcio", "numpy")
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return [
        f"- {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {cpu}, {memory:.0f} GiB; {system}",
        f"- {', '.join(f'{name} {version(name)}' for name in names)}",
        "- Two workers each; a row is 30 numbers. HTTP by wrk, gRPC by h2load with one call at a time a connection.",
    ]


def targets(lines: list[Line]) -> list[Target]:
    """Each for the model that does worst."""
    models = [line.model for line in lines if line.server == "Slipway, onnx" and line.protocol == "REST"]
    one_by_32 = [_find(lines, "Slipway, onnx", model, 32) for model in dict.fromkeys(models)]
    alone = [_find(lines, "Slipway, onnx", model, 1) for model in dict.fromkeys(models)]
    plain = [_find(lines, "Slipway, pyfunc", model, 32) for model in dict.fromkeys(models)]
    floor, floor_alone = _find(lines, FLOOR, "-", 32), _find(lines, FLOOR, "-", 1)
    theirs = {each.model: _find(lines, MLFLOW, each.model, 32).measured.per_second for each in one_by_32}
    calls = [each for each in lines if each.protocol == "gRPC" and each.connections == 32 and each.rows == 1]
    echo = next(each for each in calls if each.server == ECHO)
    return [
        Target("twin, 1 row, 32 connections: of the floor", _least(one_by_32, floor.measured.per_second), 0.7),
        Target(
            "twin: times `mlflow models serve`",
            min(each.measured.per_second / theirs[each.model] for each in one_by_32),
            40,
        ),
        Target("twin: p99 of the floor's", max(x.measured.p99_ms for x in one_by_32) / floor.measured.p99_ms, 2, True),
        Target(
            "pyfunc: times `mlflow models serve`",
            min(each.measured.per_second / theirs[each.model] for each in plain),
            10,
        ),
        Target(
            "one connection: p50 of the floor's",
            max(x.measured.p50_ms for x in alone) / floor_alone.measured.p50_ms,
            1.5,
            True,
        ),
        Target("gRPC: of the echo", _least([x for x in calls if x is not echo], echo.measured.per_second), 0.6),
        Target("MB a worker on the twin, after the load", max(each.worker_mb for each in one_by_32), 200, True),
    ]


def _least(lines: list[Line], floor: float) -> float:
    return min(line.measured.per_second for line in lines) / floor


def _find(lines: list[Line], server: str, model: str, connections: int, rows: int = 1) -> Line:
    wanted = ("REST", server, model, rows, connections)
    return next(x for x in lines if (x.protocol, x.server, x.model, x.rows, x.connections) == wanted)


def _goal(each: Target) -> str:
    sign = "≤" if each.at_most else "≥"
    return (
        f"| {each.name} | {each.seen:.2f} | {sign} {each.wanted:g} | {'reached' if each.reached else 'NOT reached'} |"
    )


def _row(line: Line, lines: list[Line]) -> str:
    floor = next(
        (x for x in lines if x.server in {FLOOR, ECHO} and (x.protocol, x.rows, x.connections) == _place(line)), None
    )
    ratio = "-" if floor is None else f"{line.measured.per_second / floor.measured.per_second:.2f}"
    seen = line.measured
    return (
        f"| {line.protocol} | {line.server} | {line.model} | {line.rows} | {line.connections} | {seen.per_second:,.0f} "
        f"| {seen.p50_ms:.2f} | {seen.p99_ms:.2f} | {line.worker_mb:.0f} | {ratio} |"
    )


def _place(line: Line) -> tuple[str, int, int]:
    return line.protocol, line.rows, line.connections


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
