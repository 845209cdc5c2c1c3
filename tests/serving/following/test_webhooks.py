import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from mlflow.entities.webhook import WebhookEvent
from mlflow.webhooks import constants, delivery
from mlflow.webhooks.types import get_example_payload_for_event

from serving.errors import InvalidInput, NotAuthentic
from serving.following import webhooks
from serving.following.webhooks import Message

SECRET, NOW = "a-secret-of-some-length", 1_763_880_000
BODY = b'{"entity": "model_version_alias", "action": "created", "data": {"name": "iris", "alias": "production"}}'


def signed(body: bytes = BODY, secret: str = SECRET, *, sent: str = str(NOW), delivered: str = "d-1") -> Message:
    """By the rule itself; not by the code under test."""
    digest = hmac.new(secret.encode(), f"{delivered}.{sent}.".encode() + body, hashlib.sha256).digest()
    return Message(delivered, sent, "v1," + base64.b64encode(digest).decode(), body)


def test_a_message_of_mlflows_own_making_is_believed() -> None:
    signature = delivery._generate_hmac_signature(SECRET, "d-1", str(NOW), BODY.decode())

    assert webhooks.model_of(Message("d-1", str(NOW), signature, BODY), SECRET, NOW) == "iris"


def test_a_known_message_has_a_known_signature() -> None:
    """A fixed vector: MLflow or we might change together with the test above."""
    message = Message(
        "d-1", "1763880000", "v1,Rn2wy+/qvcqMCSVSZSbaWG0HDxRZ1c5f37g0ibgnbfA=", b'{"data": {"name": "iris"}}'
    )

    assert webhooks.model_of(message, SECRET, NOW) == "iris"


def test_the_headers_are_mlflows() -> None:
    theirs = (
        constants.WEBHOOK_SIGNATURE_HEADER,
        constants.WEBHOOK_TIMESTAMP_HEADER,
        constants.WEBHOOK_DELIVERY_ID_HEADER,
    )
    ours = (webhooks.SIGNATURE, webhooks.TIMESTAMP, webhooks.DELIVERY)

    assert ours == tuple(name.lower() for name in theirs)


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(off: int) -> None:
    assert webhooks.model_of(signed(sent=str(NOW + off)), SECRET, NOW) == "iris"


@pytest.mark.parametrize("off", [-301, 301, -(10**9)])
def test_what_is_older_is_not_believed(off: int) -> None:
    with pytest.raises(NotAuthentic, match="is not from the last 300 seconds"):
        webhooks.model_of(signed(sent=str(NOW + off)), SECRET, NOW)


@pytest.mark.parametrize(
    "message",
    [
        replace(signed(), body=BODY + b" "),
        replace(signed(), delivery="d-2"),
        replace(signed(), timestamp=str(NOW + 1)),
        replace(signed(), signature=""),
        replace(signed(), signature="v1,"),
        replace(signed(), signature="v2" + signed().signature[2:]),
        replace(signed(), signature=signed().signature[:-1]),
        replace(signed(), signature="v1,é"),
        signed(secret="x" + SECRET),
        signed(secret=""),
    ],
)
def test_what_was_not_signed_as_it_is_is_not_believed(message: Message) -> None:
    with pytest.raises(NotAuthentic, match="SERVING_WEBHOOK_SECRET"):
        webhooks.model_of(message, SECRET, NOW)


@pytest.mark.parametrize("sent", ["", "now", "1763880000.5", "-1", "٣", "1" * 13, " 1763880000"])
def test_a_time_that_is_none_is_refused(sent: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time in Unix seconds"):
        webhooks.model_of(signed(sent=sent), SECRET, NOW)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"data": {}}', b'{"data": {"name": 1}}', b'{"data": {"name": "\xff"}}']
)
def test_a_body_that_is_about_no_model_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a message about a registered model"):
        webhooks.model_of(signed(body), SECRET, NOW)


@pytest.mark.parametrize(
    ("entity", "action"),
    [("model_version_alias", "created"), ("model_version_alias", "deleted"), ("model_version_tag", "set")],
)
def test_every_event_that_is_asked_for_names_its_model(entity: str, action: str) -> None:
    body = json.dumps({"data": get_example_payload_for_event(WebhookEvent(entity, action))}).encode()

    assert webhooks.model_of(signed(body), SECRET, NOW) == "example_model"
