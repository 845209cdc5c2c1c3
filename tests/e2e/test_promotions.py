"""Promotions under load: no request fails, and every answer is what the version that it names predicts."""

from pathlib import Path

import pytest

from tests.e2e.publisher import with_twin, without_twin
from tests.e2e.under_load import Make, under_load
from tests.servers import Stack

pytestmark = pytest.mark.slow

PROMOTIONS = 20


@pytest.mark.parametrize("make", [with_twin, without_twin])
def test_twenty_promotions_under_load_fail_no_request_and_mix_up_no_versions(
    stack: Stack, unique_name: str, tmp_path: Path, make: Make
) -> None:
    promoted = [1 + number % 2 for number in range(PROMOTIONS + 1)]
    with under_load(stack.env, tmp_path, unique_name, make) as seen:
        asked = seen.rest.record.latest.keys()
        assert all(asked & seen.running.callers(worker) for worker in seen.running.workers()), "one is never asked"

        for number in promoted[1:]:
            seen.promoted(number)

    assert seen.failed() == set()
    for load in (seen.rest, seen.rpc):
        # Each connection has one worker, which must not go back to a version that it has left.
        assert set(map(tuple, load.record.stories().values())) == {tuple(promoted)}
    assert seen.running.logged("died") == []
