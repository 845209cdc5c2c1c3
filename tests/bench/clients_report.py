"""The document of `make bench-clients`: what is compared, on what, two tables, a plot, and when to choose which."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.report import machine

METHOD = """\
Written by `make bench-clients`. The same N predictions, each of a row of two numbers, are asked of one server (two
workers, an ONNX twin that takes next to no time, so that what is seen is what asking costs) in different ways:

- a request a row: `requests`, `httpx`, `aiohttp` (JSON) and gRPC (tensors), in a loop, or with 32 on their way at
  once;
- a message a row on one gRPC stream;
- all N rows in one: as a request by `serving.client`, and as a job that it submits, waits for and fetches;
- a job a row, for up to 100 rows.

Times are in milliseconds, from when there is a client, which has not connected yet, until the last answer is there:
the median of {rounds} rounds, with the fastest and the slowest; every way has been used before. Every answer is
compared with what it should be. Client and server share the machine. Bytes are what TCP carried both ways, its own
and IP's headers left out, a prediction: counted by a relay before the server in a turn that is not timed."""
WHEN = """\
## When to choose which

For a few predictions take whatever is at hand: a loop over `requests` or `httpx` is the simplest, and nothing is
gained by more. Make the client once and keep it: to make one of httpx's reads certificates, which takes as long as
dozens of requests. For many rows that are there already, do not send them one by one: one request of all rows
(`Client.predict`, or `Client.stream` where they do not fit into memory) needs a fraction of the time and of the bytes
of any way that sends a request a row, whatever the library. Where rows come one by one and many at once, `aiohttp`
keeps the server busy from one thread; httpx's asynchronous client spends more on a request than such a server does,
and is slower here than its own loop: it pays where answers are slow. gRPC sends fewer bytes, and a stream fewer
still, for neither repeats headers and names of columns; that pays where a program asks all day over one channel, and
not for one answer, when it sends more.

A job is not quicker, and is not meant to be: it costs a transaction to accept, the worker's look for it and the
caller's look for its end, about a tenth of a second in all, which a thousand rows in one job share and a thousand
jobs of a row do not. What one gets for that: nobody holds a connection, nothing is lost when caller, server or worker
die, the queue takes what would be too much at once, and the price is paid once a job and not once a row. So put rows
that take longer than one cares to wait into one job, or a file; jobs of a single row are for calls that must not be
lost."""


@dataclass(frozen=True)
class Timed:
    """One way of asking for so many predictions. `carried`: bytes, both ways."""

    way: str
    count: int
    seconds: tuple[float, ...]
    carried: int

    @property
    def ms(self) -> float:
        return 1000 * median(self.seconds)

    @property
    def bytes_each(self) -> float:
        return self.carried / self.count


def markdown(timed: list[Timed], rounds: int, plot_name: str) -> str:
    counts = sorted({each.count for each in timed})
    head = ["# The same predictions by different clients", "", METHOD.format(rounds=rounds), "", *machine(), ""]
    times = _table("ms for N predictions", timed, counts, _times)
    carried = _table("bytes a prediction", timed, counts, lambda each: f"{each.bytes_each:,.0f}")
    return "\n".join([*head, *times, "", *carried, "", f"![times and bytes]({plot_name})", "", WHEN, ""])


def line(each: Timed) -> str:
    return f"{each.way}, {each.count:,}: {_times(each)} ms, {each.bytes_each:,.0f} bytes each"


def plot(timed: list[Timed], file: Path) -> None:
    """As SVG, the same for the same figures."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, and ids are not random.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "slipway"}):
        figure = Figure(figsize=(11, 5), layout="constrained")
        left, right = figure.subplots(1, 2)
        for at, way in enumerate(dict.fromkeys(each.way for each in timed)):
            mine = [each for each in timed if each.way == way]
            counts, style = [each.count for each in mine], "-o" if at < 7 else "--s"
            left.plot(counts, [each.ms for each in mine], style, label=way, markersize=4)
            right.plot(counts, [each.bytes_each for each in mine], style, markersize=4)
        for axes, title in ((left, "milliseconds for N predictions"), (right, "bytes on the wire a prediction")):
            axes.set(xscale="log", yscale="log", xlabel="N", title=title)
            axes.minorticks_off()
            axes.grid(visible=True, alpha=0.3)
        figure.legend(loc="outside right center", fontsize=8)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _table(title: str, timed: list[Timed], counts: list[int], cell: Callable[[Timed], str]) -> list[str]:
    found = {(each.way, each.count): cell(each) for each in timed}
    rows = [
        f"| {way} | {' | '.join(found.get((way, count), '') for count in counts)} |"
        for way in dict.fromkeys(each.way for each in timed)
    ]
    heads = " | ".join(f"N = {count:,}" for count in counts)
    return [f"| {title} | {heads} |", f"|---|{'---:|' * len(counts)}", *rows]


def _times(each: Timed) -> str:
    spread = f" ({_short(1000 * min(each.seconds))} to {_short(1000 * max(each.seconds))})"
    return f"{_short(each.ms)}{spread if len(each.seconds) > 1 else ''}"


def _short(ms: float) -> str:
    return f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"
