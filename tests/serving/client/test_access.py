"""Clients of a server that asks who they are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.access import key_file, secret
from serving.access.guard import Guard
from serving.access.key_file import Record
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.app import More
from serving.client import Forbidden, RateExceeded, Retry, Unauthenticated
from tests.serving.client.conftest import QUICK, Running
from tests.serving.tensor_models import TensorModel

ROWS = [{"a": 1.0, "b": 2.0, "c": 3.0}]
TRANSPORTS = ("http", "grpc")


class House(Running):
    """A server with three keys, of which one may ask once in a thousand seconds."""

    def __init__(self, path: Path) -> None:
        made = {name: secret.made() for name in ("good", "other", "slow")}
        self.keys = {name: each.key for name, each in made.items()}
        scopes = {"good": "predict:iris", "other": "metrics", "slow": "predict"}
        with key_file.changing(path) as records:
            for name, each in made.items():
                rate = 0.001 if name == "slow" else None
                records[each.id] = Record(each.id, name, each.digest, (scopes[name],), datetime.now(UTC), None, rate)
        super().__init__(More(guard=Guard(Keys(path), None, Rates(None, 1))))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("keys") / "keys.json")
    made.put(TensorModel())
    with made.serving():
        yield made


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_key_is_shown_by_both_clients_over_both_transports(house: House, transport: str) -> None:
    with house.client(transport, key=house.keys["good"]) as client:
        answer = client.predict(ROWS)
    async with house.async_client(transport, key=house.keys["good"]) as client:
        assert await client.predict(ROWS) == answer


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_of_the_environment_is_shown_where_none_is_given(
    house: House, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_API_KEY", house.keys["good"])

    with house.client(transport) as client:
        assert len(client.predict(ROWS)) == 1
    with house.client(transport, key="slipway_other_key") as client, pytest.raises(Unauthenticated):
        client.predict(ROWS)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_that_is_not_known_or_not_for_this_is_told_as_what_it_is(house: House, transport: str) -> None:
    with house.client(transport, key="slipway_ab_cd") as client, pytest.raises(Unauthenticated) as refused:
        client.predict(ROWS)
    assert "slipway_ab_cd" not in str(refused.value)
    with house.client(transport, key=house.keys["other"]) as client, pytest.raises(Forbidden):
        client.predict(ROWS)


def test_a_rate_is_asked_again_for_only_where_there_is_time(house: House) -> None:
    once = Retry(attempts=1)
    with house.client("http", key=house.keys["slow"], retry=once) as client:
        client.predict(ROWS)
        with pytest.raises(RateExceeded) as refused:
            client.predict(ROWS)
    assert refused.value.retry_after > 100
    with house.client("http", key=house.keys["slow"], retry=QUICK) as client, pytest.raises(RateExceeded):
        client.predict(ROWS, timeout=5)  # at once: what it would have to wait for is later than that
