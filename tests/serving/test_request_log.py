import logging

import pytest

from serving.request_log import ERRORS_A_SECOND, RequestLog, Which
from tests.fakes import Clock

ABOUT = {"request_id": "mine", "status": 503}


@pytest.mark.parametrize(
    ("which", "expected"), [("off", []), ("errors", ["refused"]), ("all", ["answered", "refused"])]
)
def test_as_many_lines_as_are_wanted(caplog: pytest.LogCaptureFixture, which: Which, expected: list[str]) -> None:
    told = RequestLog(which)

    with caplog.at_level(logging.INFO):
        told.answered(0.0125, request_id="mine")
        told.refused(0.5, "invalid-input", **ABOUT)

    assert [each.message.removeprefix("request ") for each in caplog.records] == expected
    assert [vars(each)["ms"] for each in caplog.records] == [12.5, 500.0][2 - len(expected) :]


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("invalid-input", "INFO"),
        ("forbidden", "INFO"),
        ("no-jobs", "INFO"),
        ("rate-exceeded", "INFO"),
        ("caller-gone", "INFO"),
        ("not-found", "INFO"),  # HTTP's own
        ("queue-full", "WARNING"),
        ("not-ready", "WARNING"),
        ("auth-unreachable", "WARNING"),
        ("deadline-expired", "WARNING"),
        ("prediction-failed", "WARNING"),
        ("internal-error", "WARNING"),
    ],
)
def test_what_this_server_could_not_do_is_a_warning(caplog: pytest.LogCaptureFixture, code: str, level: str) -> None:
    told = RequestLog("errors")

    with caplog.at_level(logging.INFO):
        told.refused(0, code, **ABOUT)

    assert [(each.levelname, vars(each)["code"]) for each in caplog.records] == [(level, code)]


def test_callers_who_are_refused_as_fast_as_they_ask_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    told = RequestLog("errors", clock)

    with caplog.at_level(logging.INFO):
        for _ in range(ERRORS_A_SECOND + 1000):
            told.refused(0, "not-ready", **ABOUT)
        clock.now += 1
        told.refused(0, "not-ready", **ABOUT)
        told.refused(0, "not-ready", **ABOUT)

    assert len(caplog.records) == ERRORS_A_SECOND + 2
    assert [vars(each).get("left_out") for each in caplog.records[-2:]] == [1000, None]
