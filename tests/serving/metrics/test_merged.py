import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from serving.jobs import gauges
from serving.jobs.job import Figures
from serving.metrics import exposition, merged, now, usage
from serving.metrics.answers import Counts
from serving.metrics.declared import BUILD, OF_GPUS, Route, listed
from serving.metrics.following import Following
from serving.metrics.now import Now
from serving.metrics.processes import Hosts, Programs
from tests.servers import eventually
from tests.serving.samples import Samples, read

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DEAD = 2**22 + 1
"""More than Linux has pids."""


def shown(root: Path, accept: str = "", more: Iterable[now.Gauge] = ()) -> Samples:
    text, _ = exposition.text(merged.of_all(root, more), accept)
    return read(text.decode())


def lives(root: Path, program: str, *gauges: now.Gauge, pid: int = 0) -> None:
    """A process of the supervisor's, which says `gauges` of itself."""
    Programs(root).started(program, pid or os.getpid())
    now.tell(root / program.replace(" ", "-"), Now(pid or os.getpid(), gauges))


def test_gauges_of_workers_are_added_up(tmp_path: Path) -> None:
    for worker in ("worker 1", "worker 2"):
        lives(
            tmp_path,
            worker,
            ("slipway_lineup", ("iris", "production", "7"), 1),
            ("slipway_queue_rows", ("iris",), 5),
            ("slipway_stale", ("iris",), 1),
        )

    seen = shown(tmp_path)

    assert list(seen.series("slipway_lineup")) == [({"model": "iris", "slot": "production", "version": "7"}, 2)]
    assert seen.value("slipway_queue_rows", model="iris") == 10
    assert seen.value("slipway_stale", model="iris") == 1


def test_what_the_dead_have_counted_stays_and_what_they_said_of_themselves_does_not(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    programs.started("worker 1", os.getpid())
    now.tell(tmp_path / "worker-1", Now(os.getpid(), (("slipway_queue_rows", ("iris",), 5),)))
    Counts(tmp_path / "worker-1").of("iris", 7).ended(Route.INFER)
    assert shown(tmp_path).value("slipway_queue_rows") == 5

    programs.died("worker 1")

    seen = shown(tmp_path)
    assert list(seen.series("slipway_queue_rows")) == []
    assert list(seen.series("slipway_process_resident_memory_bytes", kind="worker")) == []
    assert seen.value("slipway_requests_total", model="iris") == 1
    assert seen.value("slipway_process_deaths_total", kind="worker", process="worker-1") == 1


def test_a_successor_does_not_say_what_its_predecessor_said(tmp_path: Path) -> None:
    now.tell(tmp_path / "worker-1", Now(DEAD, (("slipway_queue_rows", ("iris",), 5),)))
    Programs(tmp_path).started("worker 1", os.getpid())

    assert list(shown(tmp_path).series("slipway_queue_rows")) == []


def test_processes_are_shown_by_kind_with_what_they_use(tmp_path: Path) -> None:
    for program in ("worker 1", "worker 2", "worker 10", "syncer", "fork server"):
        lives(tmp_path, program)

    seen = shown(tmp_path)

    running = {labels["kind"]: count for labels, count in seen.series("slipway_processes")}
    assert running == {"supervisor": 1, "worker": 3, "syncer": 1, "fork-server": 1, "host": 0}
    for name in ("slipway_process_cpu_seconds_total", "slipway_process_resident_memory_bytes"):
        assert seen.value(name, kind="worker", process="worker-10") > 0


def test_a_process_tells_since_when_it_runs_and_its_successor_another_time(tmp_path: Path) -> None:
    programs, before = Programs(tmp_path), time.time()

    def since() -> float:
        return shown(tmp_path).value("slipway_process_start_time_seconds", kind="worker", process="worker-1")

    programs.started("worker 1", os.getpid())
    first = since()
    assert before <= first <= time.time()
    assert since() == first
    assert shown(tmp_path).value("slipway_process_start_time_seconds", kind="supervisor") <= first

    programs.died("worker 1")
    assert list(shown(tmp_path).series("slipway_process_start_time_seconds", kind="worker")) == []
    programs.started("worker 1", os.getpid())
    assert since() > first


def test_hosts_are_one_process_and_what_ended_ones_used_stays(tmp_path: Path) -> None:
    Programs(tmp_path).started("fork server", os.getpid())
    hosts = Hosts(tmp_path / "fork-server")
    work = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    before = shown(tmp_path)

    with subprocess.Popen([sys.executable, "-c", work], **piped) as one:  # type: ignore[call-overload]
        one.stdout.readline()
        hosts.started([one.pid])
        during = shown(tmp_path)
        one.stdin.close()
    hosts.run([])
    after = shown(tmp_path)

    assert (during.value("slipway_processes", kind="host"), after.value("slipway_processes", kind="host")) == (1, 0)
    assert during.value("slipway_process_resident_memory_bytes", process="hosts") > 1e6
    assert after.value("slipway_process_resident_memory_bytes", process="hosts") == 0
    cpu = [each.value("slipway_process_cpu_seconds_total", process="hosts") for each in (before, during, after)]
    tick = 0.011
    assert cpu[0] + 0.3 - tick <= cpu[1] <= cpu[2] + tick
    assert after.value("slipway_hosts_started_total") == 1


def test_the_age_of_the_registrys_last_answer_grows_until_it_answers(tmp_path: Path) -> None:
    def age() -> float:
        return shown(tmp_path).value("slipway_registry_age_seconds", model="iris")

    following = Following(tmp_path / "syncer")
    following.began("iris")
    begun = age()
    following.polled("iris", answered=False)
    following.began("iris")
    eventually(lambda: age() > begun + 0.05)

    following.polled("iris", answered=True)

    assert age() < begun + 0.05
    polls = {labels["outcome"]: count for labels, count in shown(tmp_path).series("slipway_registry_polls_total")}
    assert polls == {"ok": 1, "failed": 1}


def test_following_is_added_up_over_syncer_and_workers(tmp_path: Path) -> None:
    syncer, one, other = (Following(tmp_path / name) for name in ("syncer", "worker-1", "worker-2"))
    syncer.downloaded("iris", seconds=2, size=1000)
    syncer.refused("iris", "syncer")
    for worker in (one, other):
        worker.swapped("iris", "production", seconds=0.2)
    other.refused("iris", "worker")

    seen = shown(tmp_path)

    assert seen.value("slipway_download_bytes_total", model="iris") == 1000
    assert seen.value("slipway_download_seconds_sum", model="iris") == 2
    assert (seen.value("slipway_swaps_total"), seen.value("slipway_load_seconds_count")) == (2, 2)
    assert {labels["by"]: count for labels, count in seen.series("slipway_refusals_total")} == {
        "syncer": 1,
        "worker": 1,
    }


@pytest.mark.parametrize("accept", ["", "text/plain;version=0.0.4", OPENMETRICS])
def test_every_metric_is_there_with_its_labels_and_no_other(tmp_path: Path, accept: str) -> None:
    lives(
        tmp_path,
        "worker 1",
        ("slipway_lineup", ("iris", "production", "7"), 1),
        ("slipway_candidate", ("iris", "8", "running"), 1),
        ("slipway_candidate_comparisons", ("iris", "8", "agreed"), 1),
        *(
            (f"slipway_candidate_{what}", ("iris", "8", "candidate"), 1)
            for what in ("requests", "errors", "p99_seconds")
        ),
        *(
            (f"slipway_{what}", ("iris",), 1)
            for what in ("answering_workers", "queue_rows", "queue_limit_rows", "stale")
        ),
    )
    lives(tmp_path, "fork server")
    Hosts(tmp_path / "fork-server").died()
    counts, following = Counts(tmp_path / "worker-1").of("iris", 7), Following(tmp_path / "worker-1")
    counts.answered(Route.INFER, (0, 0, 0, 0, 0))
    following.polled("iris", answered=True)
    following.refused("iris", "worker")
    following.swapped("iris", "candidate", seconds=0)

    jobs = gauges.of([Figures("iris", 1, 0, None, {"dead": 1}, 0)], 1, 0)
    gpus = [(each.name, ("0",), 1.0) for each in OF_GPUS]
    families = shown(tmp_path, accept, [*jobs, *gpus]).families

    found = {}
    for family in families.values():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[f"{family.name}_total" if family.type == "counter" else family.name] = (family.type, labels)
    assert found == {name: (kind, set(labels)) for name, (kind, labels, _) in listed().items()}
    assert BUILD.name in found


def test_what_is_counted_is_there_from_0_on(tmp_path: Path) -> None:
    """Prometheus sees no increase in a series that begins at 1."""
    Following(tmp_path / "syncer").began("iris")

    seen = shown(tmp_path)

    assert [*seen.series("slipway_refusals_total")] == [
        ({"model": "iris", "by": "syncer"}, 0),
        ({"model": "iris", "by": "worker"}, 0),
    ]


def test_the_memory_there_is_is_the_machines_or_less(tmp_path: Path) -> None:
    lives(tmp_path, "worker 1")
    machine, unlimited, small = psutil.virtual_memory().total, tmp_path / "max", tmp_path / "small"
    unlimited.write_text("max\n")
    small.write_text("1048576\n")

    assert 0 < shown(tmp_path).value("slipway_memory_limit_bytes") <= machine
    assert usage.memory_limit([tmp_path / "none", unlimited]) == machine
    assert usage.memory_limit([unlimited, small]) == 1 << 20


def test_accept_decides_the_format(tmp_path: Path) -> None:
    for accept, media_type, end in (
        ("", "text/plain; version=0.0.4", False),
        ("*/*", "text/plain; version=0.0.4", False),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0", True),
    ):
        text, told = exposition.text(merged.of_all(tmp_path), accept)
        assert told.startswith(media_type)
        assert text.endswith(b"# EOF\n") is end
