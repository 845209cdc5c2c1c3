"""Take an order for a job, or refuse it while the caller is still there. What can be known now is looked at now."""

import hashlib
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from serving import invocations
from serving.decoding.depth import refuse_deep
from serving.errors import InvalidInput, JobsFull, KeyReused, NoJobs, NoProbabilities
from serving.jobs import addresses
from serving.jobs.job import LATEST, NO_ORIGIN, Body, Files, Order, Origin, Status
from serving.jobs.shelf import Shelf, within
from serving.lineup import Served
from serving.protocol import JSON, MANIFEST_TAG, NotRows, Version

if TYPE_CHECKING:
    from serving.jobs.book import Book

LONGEST_KEY = 255
_NOT_JSON = msgspec.MsgspecError, UnicodeDecodeError


@dataclass(frozen=True)
class Rules:
    """What this server takes."""

    files: tuple[str, ...] = ()
    """Prefixes on S3 of what a job may read and write."""
    inline_bytes: int = 256 << 10
    callbacks: bool = False
    private_callbacks: bool = False


@dataclass(frozen=True)
class Asked:
    """A request for a job, as it came."""

    content: tuple[str, bytes]
    """Media type and body."""
    version: str | None = None
    """`latest`: whichever is Production when the job is worked at; else it keeps the one it is accepted under."""
    key: str | None = None
    callback: str | None = None
    origin: Origin = NO_ORIGIN


class _Files(msgspec.Struct, forbid_unknown_fields=True):
    input: str
    output: str
    keys: tuple[str, ...] = ()
    predict_proba: bool = False


class Desk:
    """Blocks, where nothing else is said."""

    def __init__(self, book: "Book", shelf: Shelf, rules: Rules) -> None:
        self.book, self.shelf, self._rules = book, shelf, rules

    def accept(self, served: Served, asked: Asked) -> Status:
        """Queue it for `served`, and whichever is Production later where `latest` is asked for.

        InvalidInput, NoProbabilities, NoJobs, KeyReused, JobsFull, JobsUnreachable.
        """
        if asked.key is not None and not 0 < len(asked.key) <= LONGEST_KEY:
            raise InvalidInput(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
        model, fingerprint = served.version.name, _fingerprint(asked)
        known = self.book.known(model, asked.key, fingerprint)
        if known is not None:
            return known
        callback, name = self._callback(asked.callback), uuid.uuid4().hex
        what, rows = self._what(served, asked.content, name)
        version = None if asked.version == LATEST else _lasting(served.version)
        order = Order(model, version, what, rows, asked.key, fingerprint, callback, asked.origin)
        try:
            status = self.book.accept(order, name)
        except (JobsFull, KeyReused):  # of a database that was away nobody knows whether it has accepted
            self._forget(what)
            raise
        if status.id != name:
            self._forget(what)
        return status

    def _forget(self, what: Body | Files) -> None:
        """Nobody will ask for it."""
        if isinstance(what, Body) and what.uri:
            self.shelf.delete([what.uri])

    def _what(self, served: Served, content: tuple[str, bytes], name: str) -> tuple[Body | Files, int | None]:
        files = _files(content)
        if files is not None:
            return self._files(served, files)
        rows = None
        with suppress(NotRows):  # only MLflow itself can say what is wrong with it
            rows = invocations.read(content, served.model).count
        media_type, body = content
        if len(body) <= self._rules.inline_bytes:
            return Body(media_type, body), rows
        return Body(media_type, uri=self.shelf.put(name, "body", body)), rows

    def _files(self, served: Served, asked: _Files) -> tuple[Files, int | None]:
        """Looks at the file, but for its rows."""
        if not self._rules.files:
            raise NoJobs("jobs on files are not taken here: SERVING_JOBS__FILES names no places that they may use")
        for what, uri in (("input", asked.input), ("output", asked.output)):
            if not within(uri, self._rules.files):
                raise InvalidInput(f"the {what} is not in one of the places that jobs may use (SERVING_JOBS__FILES)")
        if asked.predict_proba and not served.model.probabilities:
            raise NoProbabilities(served.version.name)
        # pyarrow and its file systems: for who needs them.
        from serving.scoring.places import pair
        from serving.scoring.questions import Question
        from serving.scoring.reading import Source
        from serving.scoring.refusal import NotScored

        try:
            source = Source(pair(asked.input, asked.output)[0])
            question = Question(served.model, source.names, keys=asked.keys, is_text=source.is_text)
            source.require([*question.columns, *asked.keys])
        except (NotScored, OSError) as error:
            # Without the addresses, which the caller knows.
            reason = str(error).removeprefix(f"{asked.input}: ").removeprefix(f"{asked.output}: ")
            raise InvalidInput(reason if isinstance(error, NotScored) else "the input cannot be read") from error
        return Files(asked.input, asked.output, asked.keys, asked.predict_proba), source.rows

    def _callback(self, url: str | None) -> str | None:
        if url is None:
            return None
        if not self._rules.callbacks:
            raise NoJobs("callbacks are not made here: SERVING_JOBS__CALLBACK_SECRET is not set")
        return addresses.checked(url, private=self._rules.private_callbacks)


def _files(content: tuple[str, bytes]) -> _Files | None:
    """None where the body is not about files. InvalidInput where it is, and is not right."""
    media_type, body = content
    if media_type != JSON:
        return None
    refuse_deep(body)
    try:
        found = msgspec.json.decode(body, type=Mapping[str, msgspec.Raw])
    except _NOT_JSON:
        return None
    if "input" not in found or "output" not in found:
        return None
    try:
        return msgspec.json.decode(body, type=_Files)
    except _NOT_JSON:
        raise InvalidInput(
            'a job on files is {"input": "s3://...", "output": "s3://..."}, '
            'with "keys" (a list of names) and "predict_proba" (true) if wanted'
        ) from None


def _lasting(version: Version) -> Version:
    """With nothing but what says which version it is."""
    return replace(version, tags={name: tag for name, tag in version.tags.items() if name == MANIFEST_TAG})


def _fingerprint(asked: Asked) -> str:
    media_type, body = asked.content
    parts = (media_type.encode(), (asked.version or "").encode(), (asked.callback or "").encode(), body)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
