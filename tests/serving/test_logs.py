import json
import logging

from serving.logs import ForMachines, ForPeople, where

RECORD = logging.makeLogRecord(
    {"name": "serving", "levelname": "INFO", "msg": "model swapped", "version": 3, "model": "iris"}
)


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
