"""What both clients have: whom they talk to, in which protocol, and what their verbs ask."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Literal

from serving.client.addresses import Transport, address
from serving.client.attempts import Steps
from serving.client.certificates import Certificates, File
from serving.client.conversation import Conversation
from serving.client.dialect import Dialect
from serving.client.errors import ClientError, NoJobs
from serving.client.interface import Interface
from serving.client.job_conversation import JobConversation
from serving.client.over_jobs import Order
from serving.client.pieces import Piece
from serving.client.replies import Answer
from serving.client.retry import Retry

URL = "http://127.0.0.1:8000"
KEY = "SLIPWAY_API_KEY"
PREDICT_PROBA = "predict_proba"
SECONDS = 30.0
"""For a call, its retries and their pauses included."""
PATIENT = Retry()

OnRefused = Literal["raise", "yield"]
Params = Mapping[str, Any]


class Connection(ABC):
    """To one model of one server."""

    def __init__(  # noqa: PLR0913 - what a caller may want otherwise, each by name
        self,
        url: str = URL,
        *,
        model: str | None = None,
        transport: Transport | None = None,
        timeout: float | None = SECONDS,
        retry: Retry = PATIENT,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca: File | None = None,
        certificate: File | None = None,
        certificate_key: File | None = None,
    ) -> None:
        """`url`: `http(s)://…`, `grpc(s)://HOST:PORT`, or HOST:PORT with a transport; ValueError for others.

        `model`: the server's first one by default, which gRPC cannot ask for. `timeout`: seconds for a whole call,
        None for no limit. `key`: an API key or a token; the variable SLIPWAY_API_KEY if not given. `headers`: sent with
        every request, over gRPC as metadata. Of TLS, as PEM files: the `ca` of the server's certificate, if it is none
        that this machine trusts, and for a server that asks for one the client's `certificate` and `certificate_key`.
        ImportError: gRPC without grpcio.
        """
        to = address(url, transport)
        dialect, carriers = _over_http(model) if to.transport == "http" else _over_grpc(model)
        shown = Certificates(ca, certificate, certificate_key).checked(secure=to.secure)
        self._timeout = timeout
        self._carrier: Any = self._carrier_of(carriers)(to, {**_known_by(key), **(headers or {})}, shown)
        self._conversation = Conversation(dialect, retry)
        self._model, self._retry = model, retry
        self._jobs: dict[str | None, JobConversation] | None = None
        if to.transport == "http":
            self._jobs = {model: JobConversation(self._conversation, model)}

    @abstractmethod
    def _carrier_of(self, carriers: ModuleType) -> Any:
        """The one that waits as this client does."""

    def _asks(self, rows: Any, params: Params | None, timeout: float | None) -> Steps[Answer]:
        return self._conversation.ask(rows, params, self._seconds(timeout))

    def _learns(self) -> Steps[Interface]:
        return self._conversation.learn(self._timeout)

    def _asks_for(self, piece: Piece) -> Steps[list[Any]]:
        return self._conversation.piece(piece, self._timeout)

    def _about_jobs(self, model: str | None = None) -> JobConversation:
        """Of `model`; of the client's own where none is named. NoJobs."""
        if self._jobs is None:
            raise NoJobs("jobs are asked for over HTTP; gRPC has none")
        named = model or self._model
        if named not in self._jobs:
            self._jobs[named] = JobConversation(Conversation(_over_http(named)[0], self._retry), named)
        return self._jobs[named]

    def _seconds(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else timeout


def _known_by(key: str | None) -> Mapping[str, str]:
    found = key or os.environ.get(KEY)
    return {"authorization": f"Bearer {found}"} if found else {}


def with_probabilities(params: Params | None) -> Params:
    return {**(params or {}), PREDICT_PROBA: True}


def ordered(version: int | str | None, key: str | None, callback: str | None) -> Order:
    """With a key of its own where none is given. InvalidInput."""
    return Order(version, callback=callback) if key is None else Order(version, key, callback)


def heard(outcomes: list[Any], on_refused: OnRefused) -> Iterator[Any]:
    """The predictions of a piece; its errors raised, or among them."""
    for each in outcomes:
        if isinstance(each, ClientError) and on_refused == "raise":
            raise each
        yield each


def _over_http(model: str | None) -> tuple[Dialect, ModuleType]:
    from serving.client import http_carriers
    from serving.client.over_http import OverHttp

    return OverHttp(model), http_carriers


def _over_grpc(model: str | None) -> tuple[Dialect, ModuleType]:
    if model is None:
        raise ValueError("over gRPC the model has to be named: model=…")
    try:
        from serving.client import grpc_carriers
        from serving.client.over_grpc import OverGrpc
    except ImportError as error:
        raise ImportError("gRPC needs the packages grpcio and protobuf") from error

    return OverGrpc(model), grpc_carriers
