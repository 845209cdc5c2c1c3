"""What serving's figures are held to, and whether they reach it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.lines import BESIDE_PLAIN, KEYED, MLFLOW, PYFUNC, TWIN, Line

Place = tuple[str, str, int]
"""A server, a protocol and a number of connections, for requests of one row."""
MANY = 32


@dataclass(frozen=True)
class Goal:
    """`seen` of each model; reached when that of the worst one is on the right side of `wanted`."""

    name: str
    seen: dict[str, float]
    wanted: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        found = self.seen.values()
        return max(found) <= self.wanted if self.at_most else min(found) >= self.wanted


def goals(lines: list[Line]) -> list[Goal]:
    many, alone, calls = (TWIN, "REST", MANY), (TWIN, "REST", 1), (TWIN, "gRPC", MANY)
    keyed, beside = (KEYED, "REST", MANY), (BESIDE_PLAIN, "REST", 1)
    theirs = _seen(lines, (MLFLOW, "REST", MANY), _speed)

    def times(server: str) -> dict[str, float]:
        """Both of their own floors: the two were not measured side by side."""
        ours = _seen(lines, (server, "REST", MANY), _speed)
        return {model: speed / theirs[model] for model, speed in ours.items() if model in theirs}

    every = [
        Goal("twin, 1 row, 32 connections: of bare FastAPI", _seen(lines, many, _speed), 0.7),
        Goal("twin, the same: times `mlflow models serve`", times(TWIN), 40),
        Goal("twin, the same: p99, of bare FastAPI's", _seen(lines, many, lambda line: line.pair.p99), 2, at_most=True),
        Goal("pyfunc, the same: times `mlflow models serve`", times(PYFUNC), 10),
        Goal(
            "twin, 1 row, 1 connection: p50, of bare FastAPI's",
            _seen(lines, alone, lambda line: line.pair.p50),
            1.5,
            at_most=True,
        ),
        Goal("twin, gRPC, 1 row, 32 connections: of the echo", _seen(lines, calls, _speed), 0.6),
        Goal("twin, keys and rates, 1 row, 32 connections: of bare FastAPI", _seen(lines, keyed, _speed), 0.65),
        Goal(
            "twin, 1 row, 1 connection: ms of p50 that keys and rates add",
            _seen(lines, beside, _added),
            0.1,
            at_most=True,
        ),
        Goal("twin: MB a worker, after the load", _largest(lines), 200, at_most=True),
    ]
    return [each for each in every if each.seen]  # not every server need have been measured


def _seen(lines: list[Line], place: Place, figure: Callable[[Line], float]) -> dict[str, float]:
    """By model, in the order of the lines."""
    return {x.model: figure(x) for x in lines if x.rows == 1 and (x.server, x.protocol, x.connections) == place}


def _speed(line: Line) -> float:
    return line.pair.speed


def _added(line: Line) -> float:
    """Milliseconds, in the median of the rounds."""
    return line.pair.added_p50_ms


def _largest(lines: list[Line]) -> dict[str, float]:
    twins = [line for line in lines if line.server == TWIN]
    return {model: max(x.memory.worker_mb for x in twins if x.model == model) for model in {x.model: 0 for x in twins}}
