import pytest

from serving.tracing.trace import MOST_MARKS, Mark, begun

ALL, NONE = 2**64, 0
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
@pytest.mark.parametrize("bound", [ALL, NONE])
def test_a_callers_trace_is_continued_and_sampled_as_the_caller_does(flags: str, sampled: bool, bound: int) -> None:
    trace = begun(f"00-{TRACE}-{SPAN}-{flags}", "congo=1", bound)

    assert (trace.name, trace.parent_id, trace.state) == (TRACE, int(SPAN, 16), "congo=1")
    assert trace.sampled is sampled
    again = begun(trace.traceparent, trace.state, NONE)
    assert (again.name, again.parent_id, again.sampled) == (TRACE, trace.span_id, sampled)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-0x",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_of_ones_own(given: str | None) -> None:
    trace = begun(given, "congo=1", ALL)

    assert (trace.parent_id, trace.state, trace.sampled) == (None, "", True)
    assert trace.name != TRACE


def test_a_later_version_of_traceparent_may_say_more() -> None:
    assert begun(f"01-{TRACE}-{SPAN}-01-what.comes", "", NONE).name == TRACE


def test_traces_of_ones_own_are_sampled_as_often_as_wanted() -> None:
    sampled = sum(begun(None, "", 2**64 // 4).sampled for _ in range(4000))

    assert 850 < sampled < 1150
    assert not any(begun(None, "", NONE).sampled for _ in range(100))


def test_a_tracestate_that_is_too_long_is_dropped_whole() -> None:
    assert begun(f"00-{TRACE}-{SPAN}-01", "a=" + "b" * 600, NONE).state == ""


def test_a_stream_without_an_end_is_not_noted_without_an_end() -> None:
    trace = begun(None, "", ALL)

    for _ in range(MOST_MARKS + 7):
        trace.mark(Mark(0, 0, 1, 1))

    assert (len(trace.marks), trace.more_marks) == (MOST_MARKS, 7)
