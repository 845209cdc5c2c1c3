"""What a worker and a host say to each other, over sockets that only they have.

A request is pickled: it comes from our own worker. An answer comes out of a process that ran a model's code, so it is
MessagePack, which cannot bring any code along.
"""

import pickle
import socket
from array import array
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Literal

import msgspec
import numpy as np

from serving.admission.rules import Rules
from serving.errors import InvalidInput, PredictionFailed, RowsRefused, ServingError, TooLarge
from serving.logs import Elsewhere, where
from serving.protocol import Answer, Array, NotRows, Rows
from serving.settings import Runtime

_CALLERS = {each.__name__: each for each in (InvalidInput, RowsRefused, TooLarge)}
_PLAIN = (str, bytes, bool, int, float, type(None))


class Load(msgspec.Struct):
    """The first thing that is said to a host, as a line of JSON."""

    folder: str
    runtime: Runtime
    rules: Rules
    nice: int = 0
    """How much the process yields to others: nobody waits for a trial."""


class Began(msgspec.Struct, tag=True):
    """A host is there, and loads what it was asked to."""

    pid: int


class Loaded(msgspec.Struct, tag=True):
    """The version answers its own example; what a worker needs to know of it."""

    runtime: str
    joins: bool
    probabilities: bool


class Refused(msgspec.Struct, tag=True):
    reason: str


class Ended(msgspec.Struct, tag=True):
    """The host's process is gone; as `os.waitstatus_to_exitcode` tells it."""

    status: int


class Packed(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    content: bytes | list[Any]


class Answered(msgspec.Struct, tag=True):
    outputs: list[Packed]
    names: tuple[str, ...] | None


class Written(msgspec.Struct, tag=True):
    body: bytes


class Failed(msgspec.Struct, tag=True):
    kind: str
    reason: str
    where: str


About = Began | Loaded | Refused | Ended
Result = Answered | Written | Failed
_about = msgspec.msgpack.Decoder(About)
_result = msgspec.msgpack.Decoder(Result)


def ask_to_load(control: socket.socket, load: Load) -> None:
    control.sendall(msgspec.json.encode(load) + b"\n")


def load(line: bytes) -> Load:
    return msgspec.json.decode(line, type=Load)


def give_channel(control: socket.socket) -> Connection:
    """A line of its own to the model in the host at the other end of `control`. OSError when it is gone."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            socket.send_fds(control, [b"c"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
    return Connection(ours.detach())


def channels(control: socket.socket) -> Iterator[Connection]:
    """A host's side of `give_channel`; ends with the other side."""
    while True:
        found, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not found:
            return
        yield from (Connection(handle) for handle in array("i", handles))


encoded = msgspec.msgpack.Encoder().encode


def send(connection: Connection, message: About) -> None:
    connection.send_bytes(encoded(message))


def about(connection: Connection) -> About:
    """EOFError or OSError when the other side is gone; msgspec.DecodeError for what is none of ours."""
    told: About = _about.decode(connection.recv_bytes())
    return told


def ask(connection: Connection, rows: Rows) -> Answer:
    """Errors as `Model.predict`, and as `about`."""
    found = _asked(connection, ("predict", (rows,)))
    if not isinstance(found, Answered):
        raise EOFError
    return Answer(tuple(_unpacked(each) for each in found.outputs), found.names)


def invoke(connection: Connection, media_type: str, body: bytes, most_rows: int | None) -> bytes:
    """Errors as `Model.invoke`, and as `about`."""
    found = _asked(connection, ("invoke", (media_type, body, most_rows)))
    if not isinstance(found, Written):
        raise EOFError
    return found.body


def _asked(connection: Connection, question: tuple[str, tuple[object, ...]]) -> Result:
    connection.send_bytes(pickle.dumps(question, pickle.HIGHEST_PROTOCOL))
    found: Result = _result.decode(connection.recv_bytes())
    if isinstance(found, Failed):
        raise _error(found)
    return found


def question(connection: Connection) -> tuple[Literal["predict", "invoke"], tuple[Any, ...]]:
    """A host's side of `ask` and `invoke`."""
    asked: tuple[Literal["predict", "invoke"], tuple[Any, ...]]
    asked = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own worker, over a socket nobody else has # nosec B301
    return asked


def answered(answer: Answer) -> Answered:
    """NotRows for values that would arrive as something else."""
    return Answered([_packed(each) for each in answer.outputs], answer.names)


def failed(error: BaseException) -> Failed:
    """Without what the messages say where that may quote a caller's rows."""
    ours = isinstance(error, ServingError)  # a model may have classes of the same names
    return Failed(type(error).__name__ if ours else "", str(error) if ours else "", where(error))


def _error(failure: Failed) -> ServingError:
    known = _CALLERS.get(failure.kind)
    error: ServingError
    if known is not None:
        error = known(failure.reason)
    else:
        error = NotRows() if failure.kind == NotRows.__name__ else PredictionFailed()
    error.__cause__ = Elsewhere(failure.where)
    return error


def _packed(array: Array) -> Packed:
    if array.dtype.hasobject:
        return Packed("O", array.shape, [_plain(each) for each in array.ravel().tolist()])
    return Packed(array.dtype.str, array.shape, array.tobytes())


def _unpacked(packed: Packed) -> Array:
    if isinstance(packed.content, bytes):
        return np.frombuffer(packed.content, packed.dtype).reshape(packed.shape)
    flat = np.empty(len(packed.content), object)
    flat[:] = packed.content
    return flat.reshape(packed.shape)


def _plain(value: Any) -> Any:
    """As JSON has it. What would arrive as something else is for MLflow's own writer: NotRows."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict) and all(type(name) is str for name in value):
        return {name: _plain(each) for name, each in value.items()}
    if type(value) not in _PLAIN or (type(value) is int and not -(1 << 63) <= value < 1 << 64):
        raise NotRows
    return value
