"""One event with fields a line: for people on a terminal, JSON elsewhere. Never a request's body.

`log.info("model swapped", extra={"model": name})`; what is in `extra` becomes a field.
"""

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

Form = Literal["auto", "json", "terminal"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_OF_DBOS = {"applicationID", "applicationVersion", "executorID"}
_QUOTES_ROWS = ("mlflow.models", "mlflow.pyfunc", "mlflow.types", "py.warnings")
CAUSE = "cause"
"""The field that has lines: what `where` says."""


def configure(level: str, stream: TextIO, form: Form = "auto") -> None:
    """Send every logger of the process to `stream`, in one form."""
    # Its own handlers would print beside ours, in another shape.
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    # Its core would write lines of its own, one for every stranger who fails a handshake; what matters of what they
    # tell of, Python is told of too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for_people = stream.isatty() if form == "auto" else form == "terminal"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ForPeople() if for_people else ForMachines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(level.upper())
    logging.captureWarnings(capture=True)  # or they would go to stderr as they are; as py.warnings they go nowhere
    for name in _QUOTES_ROWS:  # their warnings name columns and params that the caller sent
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # One warning for every retry of every poll while the registry is down; that it is down is logged once.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # A warning for every broken request and every wish for a WebSocket: anybody could fill a disk with them.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    dbos = logging.getLogger("dbos")  # which brings a handler along unless it has one
    dbos.handlers, dbos.propagate = [handler], False
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("serving").critical("crashed", exc_info=(kind, error, trace))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        name = told.thread.name if told.thread is not None else ""
        logging.getLogger("serving").critical("thread crashed", extra={"of": name, CAUSE: where(told.exc_value)})


class ForMachines(logging.Formatter):
    """JSON, in ASCII: no character of a value can end a line or move a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            **fields(record),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _message(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return json.dumps(line, default=str, allow_nan=False)
        except (TypeError, ValueError, RecursionError):  # not a number, a circle, a key that is none
            plain = {name: value if isinstance(value, str) else repr(value) for name, value in line.items()}
            return json.dumps(plain)


class ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        told = fields(record)
        below = str(told.pop(CAUSE, "")).splitlines()
        pairs = "  ".join(f"{_plain(name)}={_plain(str(value))}" for name, value in told.items())
        line = f"{clock} {record.levelname.lower():<7} {_plain(_message(record))}  {pairs}".rstrip()
        if record.exc_info:
            below += self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    {_plain(each)}" for each in below)])


def fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in _OF_DBOS}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever a library's arguments do as they are written out
        return str(record.msg)


def _plain(text: str) -> str:
    """On one line, and with nothing that a terminal would obey."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class Elsewhere(Exception):
    """What went wrong in another process, as `where` told it there."""


def where(error: BaseException) -> str:
    """What went wrong and where, without the messages: on the way of a request they quote the caller's rows."""
    return "\n".join(_frames(error))


def _frames(error: BaseException) -> Iterator[str]:
    if error.__cause__ is not None:
        yield from _frames(error.__cause__)
    yield str(error) if isinstance(error, Elsewhere) else type(error).__qualname__
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
