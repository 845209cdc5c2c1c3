import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.logs import ForMachines, ForPeople, where
from tests.servers import ROOT

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner),
    max_leaves=5,
)

RECORD = logging.makeLogRecord(
    {"name": "serving", "levelname": "INFO", "msg": "model swapped", "version": 3, "model": "iris"}
)


def test_nobody_fills_the_log_with_requests_that_are_none() -> None:
    """uvicorn warns of each, before anybody could ask for a key."""
    code = """
import logging, sys
from serving import logs
logs.configure("info", sys.stderr, "json")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
logging.getLogger("uvicorn.error").error("Exception in ASGI application")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    (line,) = ran.stderr.splitlines()
    assert json.loads(line)["event"] == "Exception in ASGI application"


def test_machines_read_json_with_the_fields() -> None:
    line = json.loads(ForMachines().format(RECORD))

    assert {name: line[name] for name in ("level", "event", "version", "model")} == {
        "level": "info",
        "event": "model swapped",
        "version": 3,
        "model": "iris",
    }


def test_people_read_a_sentence_and_pairs() -> None:
    assert ForPeople().format(RECORD).endswith("info    model swapped  version=3  model=iris")


def test_a_cause_is_told_without_its_message() -> None:
    try:
        try:
            float("secret-payload")
        except ValueError as inner:
            raise RuntimeError("secret-payload") from inner
    except RuntimeError as error:
        told = where(error)

    assert told.splitlines()[0] == "ValueError"
    assert "RuntimeError" in told
    assert __file__ in told
    assert "secret-payload" not in told


AWKWARD = ["\n", "\r\n", "\x1b[2J", "\x00", "\u2028", "\x85", "\x9b31m", "\ud800", "\x7f", "é", '"}', "\\"]


def a_record(**extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "serving", "levelname": "INFO", "msg": "model swapped", **extra})


@pytest.mark.parametrize("value", AWKWARD)
def test_no_character_of_a_value_ends_a_line_or_moves_a_cursor(value: str) -> None:
    record = a_record(model=f"a{value}b", msg=f"model{value}swapped")

    machines, people = ForMachines().format(record), ForPeople().format(record)

    assert json.loads(machines)["model"] == f"a{value}b"
    for line in (machines, people):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        line.encode()


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in vars(RECORD)), ANYTHING))
def test_whatever_the_fields_are_an_event_is_one_line_of_json(extra: dict[str, object]) -> None:
    line = ForMachines().format(a_record(**extra))

    assert len(line.splitlines()) == 1
    told = json.loads(line, parse_constant=pytest.fail)
    assert (told["event"], told["level"], told["logger"]) == ("model swapped", "info", "serving")
    assert len(ForPeople().format(a_record(**{**extra, "cause": ""})).splitlines()) == 1


def test_an_exception_is_a_part_of_its_line() -> None:
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError:
        record = a_record(exc_info=sys.exc_info())

    line = ForMachines().format(record)

    assert len(line.splitlines()) == 1
    assert json.loads(line)["exception"].startswith("Traceback")
    below = ForPeople().format(record).splitlines()[1:]
    assert below[0] == "    Traceback (most recent call last):"


def test_people_read_the_cause_below_its_line() -> None:
    lines = ForPeople().format(a_record(cause="ValueError\n  x.py:1 in f", code="c")).splitlines()

    assert lines[0].endswith("model swapped  code=c")
    assert lines[1:] == ["    ValueError", "      x.py:1 in f"]


def test_arguments_that_do_not_fit_their_message_lose_no_line() -> None:
    assert json.loads(ForMachines().format(a_record(msg="%d rows", args=("many",))))["event"] == "%d rows"


PROGRAM = """
import asyncio, logging, sys, threading, warnings
import grpc, uvicorn, alembic.util.messaging, dbos
from dbos._logger import init_logger
from serving import logs
logs.configure("info", sys.stderr, sys.argv[1])
init_logger()
for name in ("uvicorn.error", "uvicorn.access", "grpc", "grpc._cython.cygrpc", "alembic.runtime.migration", "dbos",
             "sqlalchemy.engine", "asyncio"):
    logging.getLogger(name).error("said by\\n%s", name)
warnings.warn("of a library, about secret-payload")
logging.getLogger("mlflow.pyfunc").warning("about secret-payload")
thread = threading.Thread(target=lambda: int("secret-payload"))
thread.start()
thread.join()
async def task():
    asyncio.get_running_loop().call_exception_handler({"message": "Task exception was never retrieved"})
asyncio.run(task())
raise RuntimeError("the end")
"""


@pytest.mark.parametrize("form", ["json", "auto"])
def test_libraries_and_crashes_are_told_in_the_same_shape(form: str) -> None:
    """Elsewhere than on a terminal."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, cwd=ROOT, check=False)

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.returncode == 1
    names = [line["logger"] for line in lines if line["event"].startswith("said by\n")]
    assert len(names) == len(set(names)) == 8
    assert [line["event"] for line in lines if line["level"] == "critical"] == ["thread crashed", "crashed"]
    assert lines[-1]["exception"].endswith("RuntimeError: the end")
    assert "secret-payload" not in ran.stderr, "neither of an exception in a thread nor of a warning"
    assert "py.warnings" not in ran.stderr


def test_people_are_told_where_that_is_wanted() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "terminal"], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert "error   said by\\nuvicorn.error" in ran.stderr
