"""How far a run is: a bar for people, a line now and then for logs."""

import io

from serving.scoring.progress import LINE_SECONDS, shown
from tests.fakes import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()

    with shown(stream, total=3000, done=0, clock=clock) as advance:
        advance(1000)
        clock.now += LINE_SECONDS
        advance(2000)
        advance(2500)

    assert stream.getvalue() == "score: 2,000 of 3,000 rows\n"


def test_where_nobody_knows_the_total_it_is_left_out() -> None:
    stream, clock = io.StringIO(), Clock()

    with shown(stream, total=None, done=0, clock=clock) as advance:
        clock.now += LINE_SECONDS
        advance(2000)

    assert stream.getvalue() == "score: 2,000 rows\n"


def test_a_terminal_gets_a_bar_that_begins_where_the_earlier_run_stopped() -> None:
    stream = Terminal()

    with shown(stream, total=3000, done=1000) as advance:
        advance(3000)

    assert "scoring" in stream.getvalue()
    assert "3000/3000" in stream.getvalue()
