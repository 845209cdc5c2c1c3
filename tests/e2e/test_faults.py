"""Faults under load: what dies is back within five seconds and takes with it only what nobody else could answer."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.outage import Mortal, MortalStack, mortal_stack
from tests.e2e.publisher import with_twin, without_twin
from tests.e2e.running import BACK_SECONDS, FORK_SERVER, PROMOTED_SECONDS, SYNCER, WORKER, Running
from tests.e2e.under_load import FACTORS, Make, under_load
from tests.servers import Stack, eventually

pytestmark = pytest.mark.slow

LARGE_BYTES = 64 << 20

KINDS = pytest.mark.parametrize("make", [with_twin, without_twin])


def fresh(running: Running, module: str, before: set[int]) -> list[psutil.Process]:
    return [each for each in running.children(module) if each.pid not in before]


@KINDS
def test_a_killed_worker_is_back_in_five_seconds_and_only_its_own_connections_notice(
    stack: Stack, unique_name: str, tmp_path: Path, make: Make
) -> None:
    with under_load(stack.env, tmp_path, unique_name, make) as seen:
        running = seen.running
        killed, other = running.workers()
        its, others = running.callers(killed), running.callers(other)
        assert its, "the worker has no connection; nothing would be shown"

        killed.kill()
        at = time.monotonic()

        (back,) = eventually(lambda: fresh(running, WORKER, {killed.pid, other.pid}), seconds=BACK_SECONDS)
        left = BACK_SECONDS - (time.monotonic() - at)
        eventually(lambda: running.answers_by(back, unique_name), seconds=left)
        seen.goes_on()
        seen.promoted(2)

    assert seen.failed() <= its
    assert not seen.failed() & others


def test_a_killed_syncer_is_back_in_five_seconds_and_nobody_notices(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    with under_load(stack.env, tmp_path, unique_name) as seen:
        killed = seen.running.child(SYNCER)

        killed.kill()

        seen.promoted(2, seconds=BACK_SECONDS)
        assert seen.running.child(SYNCER).pid != killed.pid

    assert seen.failed() == set()


def test_a_syncer_that_is_killed_in_the_middle_of_a_promotion_does_it_again(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    with under_load(stack.env, tmp_path, unique_name) as seen:
        loading = len(seen.running.logged("version loading"))
        seen.publisher.promote(2)
        eventually(lambda: len(seen.running.logged("version loading")) > loading, seconds=PROMOTED_SECONDS, every=0.002)

        seen.running.child(SYNCER).kill()

        seen.answered_by(2, seconds=BACK_SECONDS)

    assert seen.failed() == set()


def test_hosts_outlive_the_fork_server_and_later_promotions_have_another(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    with under_load(stack.env, tmp_path, unique_name, without_twin) as seen:
        seen.running.child(FORK_SERVER).kill()

        seen.goes_on()
        seen.promoted(2, seconds=30)

    assert seen.failed() == set()


def test_a_killed_host_is_replaced_and_only_its_workers_connections_notice(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    with under_load(stack.env, tmp_path, unique_name, without_twin) as seen:
        each = [seen.running.callers(worker) for worker in seen.running.workers()]
        hosts = seen.running.child(FORK_SERVER).children()

        hosts[0].kill()

        eventually(lambda: len(seen.running.logged("host died")) == 1)
        seen.goes_on()
        seen.promoted(2)

    assert seen.failed() <= each[0] or seen.failed() <= each[1]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalStack]:
    """Whoever kills revives."""
    with mortal_stack(tmp_path_factory.mktemp("mortal")) as running:
        yield running


@KINDS
def test_mlflow_and_s3_are_killed_and_restarted_and_no_answer_is_lost(
    mortal: MortalStack, unique_name: str, tmp_path: Path, make: Make
) -> None:
    with under_load(mortal.env, tmp_path, unique_name, make) as seen:
        mortal.mlflow.kill()
        mortal.s3.kill()
        eventually(lambda: not seen.running.metadata(unique_name)["registry_reachable"])
        seen.goes_on()

        mortal.s3.revive()
        mortal.mlflow.revive()

        seen.promoted(2, seconds=30)
        eventually(lambda: seen.running.metadata(unique_name)["registry_reachable"])

    assert seen.failed() == set()


@pytest.mark.parametrize("which", ["s3", "mlflow"])
def test_a_download_that_is_cut_off_is_never_served_and_done_again(
    mortal: MortalStack, unique_name: str, tmp_path: Path, which: str
) -> None:
    large = with_twin(tmp_path / "large", FACTORS[3])
    (large / "weights").write_bytes(os.urandom(LARGE_BYTES))
    server: Mortal = getattr(mortal, which)
    with under_load(mortal.env, tmp_path, unique_name) as seen:
        assert seen.publisher.publish(large) == 3
        seen.publisher.promote(3)
        eventually(lambda: sum(file.stat().st_size for file in coming(tmp_path)) > 0, every=0.002)

        server.kill()

        eventually(lambda: seen.running.logged("version refused"), seconds=60)  # MLflow asks S3 again for long
        assert seen.rest.all_answer(1)
        assert coming(tmp_path) == []
        server.revive()
        seen.answered_by(3, seconds=60)

    assert seen.failed() == set()


def coming(folder: Path) -> list[Path]:
    """What is downloaded of versions that are not there yet."""
    return [path for path in folder.glob("store/*/.incoming-*/**/*") if path.is_file()]
