"""The order of a whole run: each server with each load, beside its floor."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from tests.bench import loads, targets
from tests.bench.calls import infer_request
from tests.bench.lines import BESIDE_PLAIN, KEYED, TWIN, Line
from tests.bench.loads import Measured
from tests.bench.models import ROWS, Made
from tests.bench.peers.environments import Environment
from tests.bench.peers.handed import hand
from tests.bench.peers.started import peer
from tests.bench.peers.starts import ALONE, TOGETHER
from tests.bench.targets import Target
from tests.bench.turns import Pair, Turns, all_answered, alternate

RUNTIMES = ("onnx", "native", "pyfunc")
CONNECTIONS = (1, 32)
METHOD = "/inference.GRPCInferenceService/ModelInfer"
MLFLOW, SLIPWAY = "mlflow", "slipway"

Load = Callable[[Target, int], Measured]
"""On a server, for so many seconds."""


@dataclass(frozen=True)
class Chosen:
    """What is measured; `servers` may name MLFLOW and SLIPWAY."""

    models: list[str]
    servers: list[str]
    peers: list[Environment]

    @property
    def lines(self) -> int:
        """How many there will be."""
        alone, together = len(ROWS) * len(CONNECTIONS), len(ROWS) * len(CONNECTIONS[1:])
        ours = (len(RUNTIMES) + 2) * alone + 1 if SLIPWAY in self.servers else 0  # gRPC too, and with keys
        theirs = alone if MLFLOW in self.servers else 0
        return len(self.models) * (ours + theirs + len(self.peers) * (alone + together))


class Bench:
    def __init__(self, made: Made, folder: Path, turns: Turns) -> None:
        self._made, self._folder, self._turns = made, folder, turns
        self.left_out: list[str] = []
        """A sentence for each peer's lines that could not be measured."""
        self.repeated: list[str] = []
        """A sentence for each turn that was had again."""

    def lines(self, chosen: Chosen) -> Iterator[Line]:
        """In the order of the table."""
        with targets.floor(self._folder) as floor, targets.echo(self._folder) as echo:
            self._warm_up(floor)
            for model in chosen.models:
                if MLFLOW in chosen.servers:
                    yield from self._mlflow(floor, model)
                if SLIPWAY in chosen.servers:
                    yield from self._slipway(floor, echo, model)
                for each in chosen.peers:
                    yield from self._peer(floor, each, model)

    def _mlflow(self, floor: Target, model: str) -> Iterator[Line]:
        with targets.mlflow_serve(self._made, model, self._folder) as target:
            self._warm_up(target)
            yield from self._rest(floor, target, model, self._turns.longer)

    def _slipway(self, floor: Target, echo: Target, model: str) -> Iterator[Line]:
        for runtime in RUNTIMES:
            with targets.slipway(self._made, model, runtime, self._folder) as target:
                self._warm_up(target)
                yield from self._rest(floor, target, model, self._turns)
                if runtime == RUNTIMES[0]:
                    yield from self._grpc(echo, target, model)
                    yield from self._keyed(floor, target, model)

    def _keyed(self, floor: Target, plain: Target, model: str) -> Iterator[Line]:
        """Beside bare FastAPI, and what is asked of one caller beside the same without keys."""
        with targets.slipway(self._made, model, RUNTIMES[0], self._folder, keyed=True) as target:
            self._warm_up(target)
            yield from self._rest(floor, target, model, self._turns)
            pair = _compare(plain, target, self._posts(target, 1, 1), self._turns.surer)
            yield Line("REST", BESIDE_PLAIN, model, 1, 1, pair, target.memory())

    def _peer(self, floor: Target, environment: Environment, model: str) -> Iterator[Line]:
        handed = hand(self._made, model, self._folder)
        # Of those that batch: one caller would only wait for others.
        for batch, callers in ((ALONE, CONNECTIONS), (TOGETHER, CONNECTIONS[1:])):
            with peer(environment, handed, self._folder, batch=batch) as target:
                self._warm_up(target)
                try:
                    yield from self._rest(floor, target, model, self._turns, callers)
                except targets.Restless:  # the fault of one peer must not cost a whole run
                    self.left_out.append(f"{target.name}, {model}: still busy 60 s after its last caller had gone")

    def _rest(
        self, floor: Target, target: Target, model: str, turns: Turns, callers: tuple[int, ...] = CONNECTIONS
    ) -> Iterator[Line]:
        for rows, connections in product(ROWS, callers):
            rounds = turns.surer if rows == 1 and target.name in (TWIN, KEYED) else turns
            pair = _compare(floor, target, self._posts(target, rows, connections), rounds)
            yield Line("REST", target.name, model, rows, connections, pair, target.memory())

    def _grpc(self, echo: Target, target: Target, model: str) -> Iterator[Line]:
        for rows, connections in product(ROWS, CONNECTIONS):
            rounds = self._turns.surer if rows == 1 else self._turns
            pair = _compare(echo, target, self._calls(model, rows, connections), rounds)
            yield Line("gRPC", target.name, model, rows, connections, pair, target.memory())

    def _warm_up(self, target: Target) -> None:
        """Once for each server: of a load whose first turn is cold, the median leaves that out."""
        self._posts(target, ROWS[-1], CONNECTIONS[-1])(target, 1)

    def _posts(self, asked: Target, rows: int, connections: int) -> Load:
        """What `asked` takes, on whatever server: its floor reads the same bodies."""
        body = (asked.bodies or self._made.bodies)[rows]

        def load(target: Target, seconds: int) -> Measured:
            def turn() -> Measured:
                return loads.http(target.url, body, connections=connections, seconds=seconds, key=target.key)

            return all_answered(turn, partial(self._tell, target, rows, connections))

        return load

    def _calls(self, model: str, rows: int, connections: int) -> Load:
        message = infer_request(self._made, model, rows)

        def load(target: Target, seconds: int) -> Measured:
            def turn() -> Measured:
                port, folder = target.grpc_port, self._folder
                return loads.grpc(port, METHOD, message, connections=connections, seconds=seconds, folder=folder)

            return all_answered(turn, partial(self._tell, target, rows, connections))

        return load

    def _tell(self, target: Target, rows: int, connections: int, said: str) -> None:
        counted = " ".join(
            line.strip() for line in said.splitlines() if re.search(r"requests in|Non-2xx|errored", line)
        )
        self.repeated.append(f"{target.name}, {rows} rows, {connections} connections: {counted}")


def _compare(floor: Target, target: Target, load: Load, turns: Turns) -> Pair:
    def turn(of: Target) -> Measured:
        targets.settle(floor, target)
        return load(of, turns.seconds)

    return alternate(lambda: turn(floor), lambda: turn(target), turns.rounds)
