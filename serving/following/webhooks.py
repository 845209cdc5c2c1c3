"""Decide whether a webhook is MLflow's own and fresh, and which model it is about. Pure: no clock, no I/O.

Signed as `mlflow/webhooks/delivery.py` (3.17) does it: `v1,` and the base64 of HMAC-SHA256, by the webhook's secret,
over `DELIVERY-ID.UNIX-SECONDS.BODY`. A message that is sent again within its time is believed again: all it does is to
bring the next poll forward, and how often that can be is bounded.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

import msgspec

from serving.errors import InvalidInput, NotAuthentic

SIGNATURE = "x-mlflow-signature"
TIMESTAMP = "x-mlflow-timestamp"
DELIVERY = "x-mlflow-delivery-id"

LARGEST_BYTES = 64 << 10
OLDEST_SECONDS = 300
"""In both directions: clocks differ."""

_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Message:
    """What came: the three headers as they were, "" where one is missing, and the body."""

    delivery: str
    timestamp: str
    signature: str
    body: bytes


class _About(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    data: _About


def model_of(message: Message, secret: str, now: float) -> str:
    """The registered model that a message of MLflow's is about. NotAuthentic, or InvalidInput."""
    if not _SECONDS.fullmatch(message.timestamp):
        raise InvalidInput(f"the header {TIMESTAMP} is not a time in Unix seconds")
    if not hmac.compare_digest(_signature(message, secret), message.signature.encode()):
        raise NotAuthentic("the message is not signed with this server's SERVING_WEBHOOK_SECRET")
    if abs(now - int(message.timestamp)) > OLDEST_SECONDS:
        raise NotAuthentic(f"the message is not from the last {OLDEST_SECONDS} seconds; is one of the clocks wrong?")
    try:
        return msgspec.json.decode(message.body, type=_Body).data.name
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput("the body is not a message about a registered model") from error


def _signature(message: Message, secret: str) -> bytes:
    signed = f"{message.delivery}.{message.timestamp}.".encode() + message.body
    return b"v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
