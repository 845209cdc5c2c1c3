import pytest
from grpc import StatusCode

from serving import errors
from serving.engine import Engine
from serving.errors import DeadlineExpired, PredictionFailed, QueueFull, ServingError
from serving.lineup import Lineup
from serving.metrics.declared import Route
from serving.rpc.exchange import Question
from serving.rpc.status import STATUS, UNEXPECTED, sentence, status_of

KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ServingError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_of_its_nearest_ancestor(kind: type[ServingError]) -> None:
    ancestors = [each for each in kind.__mro__ if each in STATUS]

    assert status_of(kind) == STATUS[ancestors[0]]


def test_what_may_be_tried_again_says_so() -> None:
    assert status_of(QueueFull) is StatusCode.RESOURCE_EXHAUSTED
    assert status_of(DeadlineExpired) is StatusCode.DEADLINE_EXCEEDED
    assert status_of(PredictionFailed) is StatusCode.INTERNAL


def test_the_log_has_what_the_caller_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def raised(error: Exception) -> Exception:
        try:
            raise error from RuntimeError("secret")
        except Exception as caught:  # noqa: BLE001 - with its traceback
            return caught

    question = Question(Engine(Lineup(("iris",))), Route.MODEL_INFER, "mine-1")
    told = [sentence(raised(error), question) for error in (PredictionFailed(), ZeroDivisionError("secret"))]

    assert told == [str(PredictionFailed()), UNEXPECTED]
    assert "secret" not in str([vars(record) for record in caplog.records if record.__dict__.pop("exc_info", 1)])
    assert ["RuntimeError" in record.__dict__["cause"] for record in caplog.records] == [True, True]
    assert {record.__dict__["request_id"] for record in caplog.records} == {"mine-1"}
