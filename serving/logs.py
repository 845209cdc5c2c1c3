"""One event with fields a line: for people on a terminal, JSON elsewhere. Never a request's body.

`log.info("model swapped", extra={"model": name})`; what is in `extra` becomes a field.
"""

import json
import logging
import os
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_QUOTES_ROWS = ("mlflow.models", "mlflow.pyfunc", "mlflow.types", "py.warnings")


def configure(level: str, stream: TextIO) -> None:
    """Send every logger of the process to `stream`."""
    # Its own handlers would print beside ours, in another shape.
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ForPeople() if stream.isatty() else ForMachines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name in _QUOTES_ROWS:  # their warnings name columns and params that the caller sent
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # One warning for every retry of every poll while the registry is down; that it is down is logged once.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class ForMachines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        pairs = "  ".join(f"{name}={value}" for name, value in fields(record).items())
        line = f"{clock} {record.levelname.lower():<7} {record.getMessage()}  {pairs}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


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
