"""Questions about jobs, as HTTP has them; gRPC has none. Pure: sends nothing. docs/jobs.md has the whole of it."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from serving.client import job_answers
from serving.client.dialect import Question
from serving.client.errors import InvalidInput
from serving.client.job_answers import Place
from serving.client.over_http import JSON, REQUEST_ID, Request

LONGEST_KEY = 255
PAGE = 100
"""Jobs that are asked for at a time."""


@dataclass(frozen=True)
class Order:
    """How a job is wanted. InvalidInput for a key that no header can hold."""

    version: int | str | None = None
    """`latest`: whichever is Production when it is worked at; None: the one of now."""
    key: str = field(default_factory=lambda: uuid4().hex)
    """By which the server knows the same request again, so that asking twice makes one job."""
    callback: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= LONGEST_KEY or not (self.key.isascii() and self.key.isprintable()):
            raise InvalidInput(f"a key has 1 to {LONGEST_KEY} printable characters of ASCII")


@dataclass(frozen=True)
class Files:
    """On S3: the one to be read, and the one to be written."""

    input: str
    output: str
    keys: tuple[str, ...] = ()
    """Columns of the input that stand beside the predictions."""
    predict_proba: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which jobs are listed."""

    state: str | None = None
    version: int | None = None
    before: int | None = None
    """What the page before says under `next`."""


class OverJobs:
    """The questions about the jobs of one model."""

    def __init__(self, model: str) -> None:
        self._path = f"/v1/models/{quote(model, safe='')}/jobs"

    def submits(self, body: bytes, order: Order) -> Question:
        path = self._path + _query(version=order.version, callback=order.callback)
        headers = {"content-type": JSON, "idempotency-key": order.key, REQUEST_ID: uuid4().hex}
        return Question(Request("POST", path, headers, body), job_answers.told)

    def looks(self, job: str) -> Question:
        return self._asks("GET", self._of(job))

    def cancels(self, job: str) -> Question:
        return self._asks("DELETE", self._of(job))

    def retries(self, job: str) -> Question:
        return self._asks("POST", f"{self._of(job)}/retry")

    def result(self, job: str) -> Question:
        """For the predictions, or the Place where they are."""
        return Question(_request("GET", f"{self._of(job)}/result"), job_answers.result)

    def lists(self, wanted: Wanted) -> Question:
        query = _query(state=wanted.state, version=wanted.version, before=wanted.before, limit=PAGE)
        return Question(_request("GET", self._path + query), job_answers.page)

    def _asks(self, method: str, path: str) -> Question:
        return Question(_request(method, path), job_answers.told)

    def _of(self, job: str) -> str:
        return f"{self._path}/{quote(job, safe='')}"


def fetches(place: Place) -> Question:
    """Its bytes. Whoever has the address may have them, so that nothing else is sent along."""
    return Question(Request("GET", place.url, {}, elsewhere=True), job_answers.content)


def _request(method: str, path: str) -> Request:
    return Request(method, path, {REQUEST_ID: uuid4().hex})


def _query(**values: Any) -> str:
    """With those that there are."""
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
