"""A house for every test, and nothing of it left running afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import leftovers
from tests.infra.house import House, a_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = a_house(tmp_path / "house")
    yield house
    stopped = house.run("down")
    left = house.processes()
    leftovers.end(left)
    assert stopped.returncode == 0, stopped.stderr
    assert not left
