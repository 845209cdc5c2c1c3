"""Where a request stands in its trace, and when it was predicted. Pure, and cheap enough for every request.

https://www.w3.org/TR/trace-context/
"""

import random
import re
from dataclasses import dataclass, field

MOST_MARKS = 64
"""Of one request; a stream may have any number of batches, and a trace is to be looked at."""
LONGEST_STATE = 512
"""Characters of a tracestate that must be kept; a longer one is dropped whole."""

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED, _RANDOM = 1, 2


def new_id(bits: int) -> int:
    """Nobody gains by guessing one, and the system's randomness costs ten times as much."""
    return random.getrandbits(bits)  # nosec B311


@dataclass(slots=True, eq=False)
class Batch:
    """Rows of several requests in one call of the model."""

    rows: int
    requests: int
    members: "tuple[Trace, ...]"
    """Those requests whose traces are exported."""
    trace_id: int = field(default_factory=lambda: new_id(128))
    span_id: int = field(default_factory=lambda: new_id(64))
    told: bool = False
    """Has one of the members exported it?"""


@dataclass(slots=True)
class Mark:
    """One call of the model, by `time.perf_counter`."""

    since: float
    """When its rows began to wait for it."""
    began: float
    ended: float
    rows: int
    batch: Batch | None = None


@dataclass(slots=True, eq=False)
class Trace:
    """A request that somebody may look at later."""

    trace_id: int
    span_id: int
    parent_id: int | None = None
    """Of the caller's span, or of the one that this is a part of."""
    flags: int = _SAMPLED
    state: str = ""
    """The tracestate, handed on as it came."""
    marks: list[Mark] = field(default_factory=list)
    more_marks: int = 0
    """Calls of the model beyond MOST_MARKS."""

    @property
    def sampled(self) -> bool:
        return bool(self.flags & _SAMPLED)

    @property
    def name(self) -> str:
        """As logs and other tools write it."""
        return f"{self.trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """For whatever goes on with it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"

    def part(self) -> "Trace":
        """Of this one: a message of a stream, for example."""
        return Trace(self.trace_id, new_id(64), self.span_id, self.flags, self.state)

    def mark(self, mark: Mark) -> None:
        if len(self.marks) < MOST_MARKS:
            self.marks.append(mark)
        else:
            self.more_marks += 1


def begun(traceparent: str | None, tracestate: str, bound: int) -> Trace:
    """The caller's trace, sampled as the caller does; a new one where there is none, sampled below `bound` of 2**64."""
    found = _PARENT.fullmatch(traceparent) if traceparent else None
    if found is None or (found[1] == "00" and found[5]):
        trace_id = new_id(128) or 1
        return Trace(trace_id, new_id(64) or 1, flags=_RANDOM | (trace_id & (2**64 - 1) < bound))
    flags = int(found[4], 16) & (_SAMPLED | _RANDOM)
    state = tracestate if len(tracestate) <= LONGEST_STATE else ""
    return Trace(int(found[2], 16), new_id(64) or 1, int(found[3], 16), flags, state)


def mark_batch(members: "list[tuple[Trace | None, float, int]]", began: float, ended: float) -> None:
    """One call of the model for all of `members`: trace, when it began to wait, and rows."""
    traced = tuple(trace for trace, _, _ in members if trace is not None)
    if not traced:
        return
    batch = Batch(sum(rows for _, _, rows in members), len(members), traced) if len(members) > 1 else None
    for trace, since, rows in members:
        if trace is not None:
            trace.mark(Mark(since, began, ended, rows, batch))
