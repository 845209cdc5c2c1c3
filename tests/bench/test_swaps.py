from typing import Any

import pytest
from numpy.typing import NDArray

from tests.bench import promotions_report as report
from tests.bench import swaps
from tests.bench.swaps import Shown, Swap
from tests.load.record import Failure, Record


def answers(*each: tuple[float, float, int]) -> NDArray[Any]:
    """When each was asked, how long it took, and by which version it was answered."""
    record = Record()
    for began, seconds, version in each:
        record.answered(began, began + seconds, 1, version)
    return record.answers()


def a_run(*, slow: float = 0.001, failures: int = 0) -> Shown:
    """Steady answers after a millisecond, and a promotion at 10 that holds the requests around it up."""
    steady = answers(*((at / 100, 0.001, 1) for at in range(1000)))
    swapped = answers(*((10 + at / 100, slow, 1 + (at > 50)) for at in range(300)))
    found = [swaps.swap(swapped, 2, 10, 13)]
    failed = [Failure(11, 1, "connection lost")] * failures
    minute = swaps.figures(swapped, 3)
    return Shown("linear", "onnx", 0, swaps.figures(steady, 10), minute, swaps.during(swapped, found), found, failed)


def test_a_swap_lasts_from_the_order_to_the_last_old_answer() -> None:
    record = answers((9, 0.5, 1), (10.2, 0.1, 1), (10.3, 0.1, 2), (10.35, 0.3, 1), (11, 0.1, 2), (12.5, 1, 1))

    found = swaps.swap(record, 2, 10, 13)

    assert (found.ordered, found.first, found.last) == pytest.approx((10, 10.4, 10.65))
    assert found.ended == pytest.approx(10.65 + swaps.AFTERWARDS_SECONDS)


def test_what_is_waited_for_meanwhile_counts_although_it_was_asked_before() -> None:
    record = answers((9, 0.5, 1), (9.9, 0.3, 1), (10.4, 5, 2), (10.6, 0.1, 2))

    assert swaps.between(record, 10, 10.5)["began"].tolist() == [9.9, 10.4]


def test_a_promotion_that_holds_requests_up_is_seen() -> None:
    assert a_run().slower == pytest.approx(1)
    assert a_run(slow=0.003).slower == pytest.approx(3)
    assert "| 3.00 | < 2 | NOT reached |" in report.markdown([a_run(), a_run(slow=0.003)])


def test_no_request_may_fail() -> None:
    assert "answered wrongly | 0 | 0 | reached |" in report.markdown([a_run()])
    assert "answered wrongly | 2 | 0 | NOT reached |" in report.markdown([a_run(), a_run(failures=2)])


def test_a_line_has_the_times_of_the_slowest_promotion() -> None:
    quick, slow = Swap(10, 10.5, 10.6), Swap(13, 14, 14.5)
    shown = a_run()
    shown.swaps[:] = [quick, quick, slow]

    assert report.line(shown).endswith("| 0.50 (at most 1.00) | 0.60 (at most 1.50) |")
