"""The client for threads. It takes the steps that `conversation.py` says, and waits as a thread waits."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, Literal, Self, TypeVar, cast

from serving.client.attempts import Send, Steps, Wait
from serving.client.connection import Connection, OnRefused, Params, heard, ordered, with_probabilities
from serving.client.errors import ClientError
from serving.client.given import rows_of
from serving.client.interface import Interface
from serving.client.job import Job
from serving.client.job_conversation import Seen
from serving.client.over_jobs import Files, Wanted
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

    def submit(  # noqa: PLR0913 - what a caller may want otherwise, each by name
        self,
        rows: Any,
        *,
        model: str | None = None,
        version: int | Literal["latest"] | None = None,
        key: str | None = None,
        callback: str | None = None,
        params: Params | None = None,
        proba: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """Have `rows` predicted later, by a job; `rows`, `params` and `timeout` as for `predict`.

        `version`: the one of now if not given, `latest` for whichever is Production when it is worked at. `key`: the
        same key and rows again give the same job, and no second one. `callback`: a URL that is told of the end.
        `proba`: probabilities. NoJobs; KeyReused; JobsFull and JobsUnreachable after the last attempt.
        """
        order = ordered(version, key, callback)
        wanted = with_probabilities(params) if proba else params or {}
        return self._run(self._about_jobs(model).submit(rows, wanted, order, self._seconds(timeout)))

    def submit_file(  # noqa: PLR0913 - as there
        self,
        input_uri: str,
        output_uri: str,
        keys: Sequence[str] = (),
        *,
        model: str | None = None,
        version: int | Literal["latest"] | None = None,
        key: str | None = None,
        callback: str | None = None,
        proba: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """As `submit`, of a file on S3, CSV or Parquet. `keys`: columns that stand beside the predictions."""
        files = Files(input_uri, output_uri, tuple(keys), proba)
        order = ordered(version, key, callback)
        return self._run(self._about_jobs(model).submit_file(files, order, self._seconds(timeout)))

    def job(self, job: Job | str, *, model: str | None = None) -> Job:
        """How far it is. UnknownJob.

        Here and below `job` is one, or its id; then `model` is for one that is not of the client's model.
        """
        return self._run(self._about_jobs(model).look(job, self._timeout))

    def wait(
        self, job: Job | str, *, timeout: float | None = None, seen: Seen | None = None, model: str | None = None
    ) -> Job:
        """The job once it has ended, well or not. WaitExpired after `timeout` seconds; the job goes on. None: no limit.

        It is looked at with growing pauses, and a server that goes away for less than a minute ends no wait. `seen` is
        called with the job at every look.
        """
        return self._run(self._about_jobs(model).wait(job, timeout, self._timeout, seen))

    def result(self, job: Job | str, *, model: str | None = None, timeout: float | None = None) -> Any:
        """What `predict` gives for the rows that were submitted; who has only the id gets a list.

        JobNotEnded; JobFailed for a job that ended without one. ImportError where it is Parquet and pyarrow is missing.
        """
        return self._run(self._about_jobs(model).result(job, self._seconds(timeout)))

    def cancel(self, job: Job | str, *, model: str | None = None) -> Job:
        """One that has not ended. JobConflict for one that has."""
        return self._run(self._about_jobs(model).cancel(job, self._timeout))

    def retry(self, job: Job | str, *, model: str | None = None) -> Job:
        """Queue one again that ended without success, under the same id. JobConflict for others."""
        return self._run(self._about_jobs(model).retry(job, self._timeout))

    def jobs(self, *, state: str | None = None, version: int | None = None, model: str | None = None) -> Iterator[Job]:
        """The newest first, page by page as they are taken."""
        about, wanted = self._about_jobs(model), Wanted(state, version)
        while True:
            page = self._run(about.page(wanted, self._timeout))
            yield from page.jobs
            if page.next is None:
                return
            wanted = replace(wanted, before=page.next)

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
