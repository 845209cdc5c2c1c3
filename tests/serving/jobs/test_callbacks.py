import base64
import hashlib
import hmac
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from serving.jobs.callbacks import Caller, NotDelivered, signature
from tests.serving.jobs.listening import Listener, listening


@pytest.fixture
def heard() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def test_a_message_arrives_signed(heard: Listener) -> None:
    Caller("secret", private=True).call(heard.url, "job-1", b'{"state": "succeeded"}', 1_700_000_000)

    (message,) = heard.messages
    assert message.body == b'{"state": "succeeded"}'
    assert message.headers["webhook-id"] == "job-1"
    assert message.headers["webhook-timestamp"] == "1700000000"
    signed = b'job-1.1700000000.{"state": "succeeded"}'
    wanted = base64.b64encode(hmac.new(b"secret", signed, hashlib.sha256).digest()).decode()
    assert message.headers["webhook-signature"] == f"v1,{wanted}"


def test_a_signature_depends_on_all_that_is_signed() -> None:
    parts = ("secret", "id", 1, b"body")
    others = [
        ("x", "id", 1, b"body"),
        ("secret", "x", 1, b"body"),
        ("secret", "id", 2, b"body"),
        ("secret", "id", 1, b""),
    ]

    assert all(signature(*other) != signature(*parts) for other in others)


@pytest.mark.parametrize("status", [301, 404, 500])
def test_anything_but_success_is_not_delivered(heard: Listener, status: int) -> None:
    heard.status = status

    with pytest.raises(NotDelivered, match=str(status)):
        Caller("secret", private=True).call(heard.url, "job-1", b"{}", 1)
    assert len(heard.messages) == 1


def test_a_name_that_leads_inside_is_not_called(heard: Listener) -> None:
    with pytest.raises(NotDelivered, match="not on the public internet") as refusal:
        Caller("secret").call(heard.url.replace("127.0.0.1", "localhost"), "job-1", b"{}", 1)

    assert heard.messages == []
    assert "localhost" not in str(refusal.value)


def test_a_name_that_leads_elsewhere_at_the_second_look_is_not_called(heard: Listener) -> None:
    """There is none: what is called is what was looked at."""
    asked = list[str]()

    def rebinding(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return socket.getaddrinfo("127.0.0.1" if len(asked) > 1 else "93.184.216.34", port)

    with pytest.raises(NotDelivered):
        Caller("secret", look_up=rebinding).call(heard.url.replace("127.0.0.1", "rebinding.test"), "job-1", b"{}", 1)
    assert asked == ["rebinding.test"]
    assert heard.messages == []


def test_one_address_inside_is_enough_to_call_none(heard: Listener) -> None:
    def both(_: str, port: int, **__: Any) -> Any:
        return [*socket.getaddrinfo("93.184.216.34", port), *socket.getaddrinfo("127.0.0.1", port)]

    with pytest.raises(NotDelivered, match="not on the public internet"):
        Caller("secret", look_up=both).call(heard.url.replace("127.0.0.1", "both.test"), "job-1", b"{}", 1)


def test_nobody_there_is_not_delivered() -> None:
    with pytest.raises(NotDelivered):
        Caller("secret", private=True).call("http://127.0.0.1:9/", "job-1", b"{}", 1)
