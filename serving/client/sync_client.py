"""The client for threads. It takes the steps that `conversation.py` says, and waits as a thread waits."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import Any, Self, TypeVar, cast

from serving.client.connection import Connection, OnRefused, Params, heard, with_probabilities
from serving.client.conversation import Send, Steps, Wait
from serving.client.errors import ClientError
from serving.client.given import rows_of
from serving.client.interface import Interface
from serving.client.pieces import cut
from serving.client.replies import Answer

T = TypeVar("T")


class Client(Connection):
    """For threads; several may use the same one."""

    def predict(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Any:
        """A prediction a row: for a DataFrame a Series or DataFrame with its index, for an array an array, else a list.

        `rows`: a DataFrame, an array, a dict of columns, or a list of dicts or of lists. `timeout`: seconds for
        this call, instead of the client's. Errors as ClientError.
        """
        return self.ask(rows, params=params, timeout=timeout).predictions

    def predict_proba(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Any:
        """As `predict`, with a probability a class. NoProbabilities for a model that has none."""
        return self.predict(rows, params=with_probabilities(params), timeout=timeout)

    def ask(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Answer:
        """As `predict`, with the version that answered and the id of the request."""
        return self._run(self._asks(rows, params, timeout))

    def stream(self, rows: Iterable[Any], *, on_refused: OnRefused = "raise") -> Iterator[Any]:
        """A prediction for each row, in order, in constant memory. A row is a dict, a list or a value.

        A row that is refused ends the stream with its error, or, with `on_refused="yield"`, is answered by that error.
        The timeout is for each piece of the stream.
        """
        for piece in cut(rows_of(rows)):
            yield from heard(self._run(self._asks_for(piece)), on_refused)

    def interface(self) -> Interface:
        """What the model takes, as the version that was met last describes it."""
        return self._run(self._learns())

    def close(self) -> None:
        self._carrier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _carrier_of(self, carriers: ModuleType) -> Any:
        return carriers.Carrier

    def _run(self, steps: Steps[T]) -> T:
        take: Callable[[], Send | Wait] = partial(next, steps)
        while True:
            try:
                step = take()
            except StopIteration as end:
                return cast("T", end.value)
            try:
                take = partial(steps.send, self._taken(step))
            except ClientError as error:
                take = partial(steps.throw, error)

    def _taken(self, step: Send | Wait) -> Any:
        if isinstance(step, Send):
            return self._carrier.send(step.request, step.seconds)
        return time.sleep(step.seconds)  # noqa: TID251 - a pause that the server asked for, of the caller's own thread
