"""One measured load, as it stands in the table; and what the servers are called there."""

from dataclasses import dataclass

from tests.bench.processes import Memory
from tests.bench.turns import Pair

FLOOR = "bare FastAPI"
ECHO = "empty grpc.aio echo"
MLFLOW = "mlflow models serve"
TWIN = "Slipway, onnx"
KEYED = f"{TWIN}, keys and rates"
"""The same, asked with a key, whose requests are counted."""
BESIDE_PLAIN = f"{KEYED}, its floor without"
PYFUNC = "Slipway, pyfunc"


@dataclass(frozen=True)
class Line:
    """`memory` is the server's, after the load."""

    protocol: str
    server: str
    model: str
    rows: int
    connections: int
    pair: Pair
    memory: Memory
