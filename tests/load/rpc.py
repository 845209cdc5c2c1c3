"""Load over gRPC: channels with a connection of their own, each with one `ModelInfer` at a time."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Self

import grpc
import numpy as np
import psutil

from serving.rpc.generated.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from tests.load.record import Failure, Question, Record
from tests.servers import eventually

METHOD = "/inference.GRPCInferenceService/ModelInfer"
PATIENCE_SECONDS = 10
TURNED_AWAY_SECONDS = 0.05
"""How long a caller that was turned away waits before it asks again."""
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else all channels of a process share one connection
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)
Ask = Callable[[bytes], ModelInferResponse]


class RpcLoad:
    """From threads of its own, from the first answer on every channel until the block ends."""

    def __init__(
        self, port: int, model: str, questions: Sequence[Question], *, channels: int, every_seconds: float = 0
    ) -> None:
        """`every_seconds`: how often each channel asks; 0: again at once."""
        self.record, self.channels = Record(), channels
        self.port, self._every_seconds, self._stopping = port, every_seconds, threading.Event()
        self._asked = [(each, _message(model, each)) for each in questions]
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as held:
            for _ in range(self.channels):
                known = _connections(self.port)
                channel = held.enter_context(grpc.insecure_channel(f"127.0.0.1:{self.port}", OPTIONS))
                grpc.channel_ready_future(channel).result(PATIENCE_SECONDS)
                # One after the other, for gRPC does not tell by which port a channel goes out. It may go out by another
                # one later; in the record it keeps the name of its first.
                (name,) = _connections(self.port) - known
                held.callback(self._asking(channel, name).join)
            held.callback(self._stopping.set)
            eventually(lambda: len(self.record.latest) == self.channels, seconds=60)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def all_answer(self, version: int) -> bool:
        return self.record.all_answer(version, connections=self.channels)

    def _asking(self, channel: grpc.Channel, name: int) -> threading.Thread:
        ask: Callable[..., ModelInferResponse]
        ask = channel.unary_unary(METHOD, None, ModelInferResponse.FromString)
        thread = threading.Thread(
            target=self._run, args=[lambda message: ask(message, timeout=PATIENCE_SECONDS), name], name="load"
        )
        thread.start()
        return thread

    def _run(self, ask: Ask, name: int) -> None:
        for number in count(name):
            began = time.monotonic()
            wrong = self._wrong(*self._asked[number % len(self._asked)], ask, name)
            if wrong:
                self.record.failures.append(Failure(time.monotonic(), name, wrong))
            pause = max(self._every_seconds, TURNED_AWAY_SECONDS if wrong else 0) - (time.monotonic() - began)
            if self._stopping.wait(max(pause, 0)):
                return

    def _wrong(self, question: Question, message: bytes, ask: Ask, name: int) -> str | None:
        """What, if anything was; else it is recorded as answered."""
        began = time.monotonic()
        try:
            answer = ask(message)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
        version = int(answer.model_version)
        wrong = question.wrong(version, _predictions(answer))
        if wrong is None:
            self.record.answered(began, time.monotonic(), name, version)
        return wrong


def _connections(port: int) -> set[int]:
    """By its port here, every connection of this process to `port`."""
    found = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in found if each.raddr and each.raddr.port == port}


def _message(model: str, question: Question) -> bytes:
    table = np.array(question.rows, np.float64)
    tensor = ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=table.shape)
    request = ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[table.tobytes()])
    message: bytes = request.SerializeToString()
    return message


def _predictions(answer: ModelInferResponse) -> list[float]:
    dtypes = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64}
    found: list[float] = np.frombuffer(answer.raw_output_contents[0], dtypes[answer.outputs[0].datatype]).tolist()
    return found
