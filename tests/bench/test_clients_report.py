from pathlib import Path

from tests.bench import clients_report as report
from tests.bench.clients_report import Timed

LOOP, JOB = "httpx, in a loop", "one job of all rows"
TIMED = [
    Timed(LOOP, 1, (0.002, 0.004, 0.003), 500),
    Timed(LOOP, 100, (0.2, 0.1, 0.3), 40_000),
    Timed(JOB, 1, (1.2, 1.1, 1.3), 2_000),
]


def test_each_way_has_a_line_of_times_and_one_of_bytes_for_a_prediction() -> None:
    text = report.markdown(TIMED, 3, "plot.svg")

    assert "| ms for N predictions | N = 1 | N = 100 |\n|---|---:|---:|" in text
    assert f"| {LOOP} | 3.0 (2.0 to 4.0) | 200 (100 to 300) |" in text
    assert f"| {JOB} | 1,200 (1,100 to 1,300) |  |" in text
    assert f"| {LOOP} | 500 | 400 |" in text
    assert "![times and bytes](plot.svg)" in text


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.svg", "other.svg"):
        report.plot(TIMED, tmp_path / name)

    one = (tmp_path / "one.svg").read_text()
    assert one == (tmp_path / "other.svg").read_text()
    assert all(way in one for way in (LOOP, JOB))
