from pathlib import Path

import pytest

from serving.metrics import exposition, merged
from serving.metrics.answers import KEPT_VERSIONS, Counts
from serving.metrics.declared import Route
from serving.metrics.merged import SHOWN_VERSIONS
from tests.serving.samples import Samples, read

PHASES = (0.0, 0.001, 0.004, 0.0002, 0.006)


def shown(root: Path) -> Samples:
    text, _ = exposition.text(merged.of_all(root), "")
    return read(text.decode())


def test_what_is_counted_is_shown(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "worker-1").of("iris", 7)

    for _ in range(3):
        counts.answered(Route.INFER, PHASES)
    counts.ended(Route.MODEL_INFER, "queue-full")
    counts.called(300, 5)

    seen, of_iris = shown(tmp_path), {"model": "iris", "version": "7"}
    assert seen.value("slipway_requests_total", route="infer", protocol="rest", code="ok", **of_iris) == 3
    assert seen.value("slipway_requests_total", route="ModelInfer", protocol="grpc", code="queue-full", **of_iris) == 1
    assert seen.value("slipway_requests_total") == 4
    for phase, seconds in zip(("queue", "decode", "predict", "encode", "total"), PHASES, strict=True):
        assert seen.value("slipway_request_seconds_count", phase=phase, route="infer") == 3
        assert seen.value("slipway_request_seconds_sum", phase=phase, route="infer") == pytest.approx(3 * seconds)
    assert seen.value("slipway_batch_rows_sum", **of_iris) == 300
    assert seen.value("slipway_batch_requests_sum", **of_iris) == 5


@pytest.mark.parametrize(
    ("seconds", "first"), [(0.0, "2.5e-05"), (2.5e-5, "2.5e-05"), (2.6e-5, "5e-05"), (10.0, "10.0"), (10.1, "+Inf")]
)
def test_a_bucket_has_what_is_at_most_its_end(tmp_path: Path, seconds: float, first: str) -> None:
    Counts(tmp_path / "worker-1").of("iris", 7).answered(Route.INFER, (0, 0, 0, 0, seconds))

    buckets = list(shown(tmp_path).series("slipway_request_seconds_bucket", phase="total"))

    ends = [labels["le"] for labels, _ in buckets]
    assert [count for _, count in buckets] == [float(place >= ends.index(first)) for place in range(len(ends))]


def test_workers_are_added_up(tmp_path: Path) -> None:
    for worker in ("worker-1", "worker-2"):
        counts = Counts(tmp_path / worker)
        counts.of("iris", 7).answered(Route.INFER, PHASES)
        counts.nobody.ended(Route.INVOCATIONS, "unknown-model")

    seen = shown(tmp_path)

    assert seen.value("slipway_requests_total", model="iris", version="7", code="ok") == 2
    assert seen.value("slipway_requests_total", model="", version="", code="unknown-model") == 2
    assert seen.value("slipway_request_seconds_bucket", phase="total", le="+Inf") == 2


def test_who_is_started_again_goes_on_counting(tmp_path: Path) -> None:
    for _ in range(3):
        Counts(tmp_path / "worker-1").of("iris", 7).ended(Route.INFER)

    assert shown(tmp_path).value("slipway_requests_total") == 3


def test_old_versions_are_forgotten_and_their_files_too(tmp_path: Path) -> None:
    numbers = range(1, 31)

    for number in numbers:  # each by a worker of its own: what one has left, its successor forgets
        Counts(tmp_path / "worker-1").of("iris", number).ended(Route.INFER)
        Counts(tmp_path / "worker-2").of("wine", 1).ended(Route.INFER)

    seen = shown(tmp_path)
    latest = {str(number) for number in numbers[-SHOWN_VERSIONS:]}
    assert {labels["version"] for labels, _ in seen.series("slipway_requests_total", model="iris")} == latest
    assert seen.value("slipway_requests_total", model="wine", version="1") == 30
    assert len(list(tmp_path.glob("worker-1/*"))) == KEPT_VERSIONS + 1


def test_a_version_that_answers_is_not_forgotten_though_others_come_and_go(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "worker-1")
    candidate = counts.of("iris", 1)
    candidate.ended(Route.INFER)

    for number in range(2, 30):
        counts.of("iris", number).ended(Route.INFER)
        candidate.seen()

    assert shown(tmp_path).value("slipway_requests_total", version="1") == 1


def test_a_code_without_a_name_is_another(tmp_path: Path) -> None:
    Counts(tmp_path / "worker-1").nobody.ended(Route.INFER, "i-am-a-teapot")

    assert shown(tmp_path).labels("slipway_requests_total", "code") == {"other"}


def test_where_there_is_no_room_requests_are_answered_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "worker-1").write_text("not a folder")

    Counts(tmp_path / "worker-1").of("iris", 7).answered(Route.INFER, PHASES)
