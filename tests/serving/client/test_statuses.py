"""gRPC's statuses become the errors that HTTP's problems are."""

import pytest
from grpc import StatusCode

from serving import errors as theirs
from serving.client import Busy, CallerError, ClientError, DeadlineExpired, ServerFailed, TooLarge, Unreachable
from serving.client.errors import kind_of
from serving.client.statuses import Response, check
from serving.rpc.status import ERROR_CODE, status_of

TRAILERS = {"x-request-id": "abc", "x-model-name": "iris", "x-model-version": "7"}


def met(status: str, details: str = "", trailers: dict[str, str] | None = None) -> ClientError:
    with pytest.raises(ClientError) as refusal:
        check(Response(status, details, trailers or {}, None))
    return refusal.value


OWN = (
    theirs.InvalidInput,
    theirs.UnknownModel,
    theirs.TooLarge,
    theirs.QueueFull,
    theirs.NotReady,
    theirs.DeadlineExpired,
    theirs.PredictionFailed,
    theirs.NoProbabilities,
)


@pytest.mark.parametrize("kind", OWN)
def test_servings_own_refusals_have_its_code_and_reason(kind: type[theirs.ServingError]) -> None:
    error = met(status_of(kind).name, "because", {ERROR_CODE: kind.code, **TRAILERS})

    assert type(error) is kind_of(kind.code, ServerFailed)
    assert (error.code, error.reason) == (kind.code, "because")
    assert (error.model, error.version, error.request_id) == ("iris", "7", "abc")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (StatusCode.UNAVAILABLE, Unreachable),
        (StatusCode.DEADLINE_EXCEEDED, DeadlineExpired),
        (StatusCode.RESOURCE_EXHAUSTED, TooLarge),
        (StatusCode.UNAUTHENTICATED, CallerError),
        (StatusCode.PERMISSION_DENIED, CallerError),
        (StatusCode.UNIMPLEMENTED, ServerFailed),
    ],
)
def test_refusals_of_anybody_else_have_a_sentence_of_ours(status: StatusCode, kind: type[ClientError]) -> None:
    error = met(status.name, "secret")

    assert type(error) is kind
    assert "secret" not in str(error)


def test_a_code_of_a_later_serving_is_kept() -> None:
    error = met("UNAVAILABLE", "because", {ERROR_CODE: "asleep"})

    assert (type(error), error.code) == (Busy, "asleep")
