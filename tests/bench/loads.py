"""Load from generators written in C: wrk for HTTP, h2load (nghttp2) for gRPC. To 127.0.0.1 only, for seconds only."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "{media_type}"
file:close()
"""


class LoadFailed(Exception):
    """The generator did not work, or says something else than it used to."""


class NotAllAnswered(LoadFailed):
    """Something other than a 200 came back."""


@dataclass(frozen=True)
class Measured:
    """Of one load: answers a second, and the times of half and of 99 % of them in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


def missing() -> list[str]:
    """Debian packages whose generators are not on the PATH."""
    return [package for tool, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")) if not shutil.which(tool)]


def http(url: str, body: Path, *, connections: int, seconds: int, key: str = "") -> Measured:
    """POST `body`, JSON."""
    script = body.with_suffix(".lua")
    script.write_text(_SCRIPT.format(body=body, media_type="application/json"))
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", "-s", str(script)]
    shown = ["-H", f"Authorization: Bearer {key}"] if key else []
    said = _run([*words, *shown, url])
    if "Non-2xx" in said:
        raise NotAllAnswered(f"not every answer was a 200:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise LoadFailed(said)
    return Measured(float(rate[1]), _percentile(said, "50"), _percentile(said, "99"))


def grpc(port: int, method: str, message: bytes, *, connections: int, seconds: int, folder: Path) -> Measured:
    """Unary calls of `method`, one at a time on each connection."""
    body, log = folder / "message.bin", folder / "h2load.log"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    log.unlink(missing_ok=True)
    # Half a second for the connections; h2load leaves that part out of its figures.
    words = ["h2load", "-t1", f"-c{connections}", "-m1", f"-D{seconds}", "--warm-up-time=500ms", f"--log-file={log}"]
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(body)]
    said = _run([*words, *headers, f"http://127.0.0.1:{port}{method}"])
    found = re.search(r"finished in [\d.]+s, ([\d.]+) req/s", said)
    failed = re.search(r"(\d+) failed, (\d+) errored", said)
    if found is None or failed is None:
        raise LoadFailed(said)
    if failed[0] != "0 failed, 0 errored":
        raise NotAllAnswered(said)
    times = np.loadtxt(log, usecols=2) / 1000
    return Measured(float(found[1]), float(np.percentile(times, 50)), float(np.percentile(times, 99)))


@dataclass(frozen=True)
class Open:
    """Of a load that comes whatever becomes of those before; times in milliseconds, from when a request was sent."""

    seconds: float
    accepted: Times
    refused: Times
    others: int
    """Answers of any other status, and requests without one."""

    @property
    def asked_per_second(self) -> float:
        return (len(self.accepted) + len(self.refused) + self.others) / self.seconds

    @property
    def answered_per_second(self) -> float:
        return len(self.accepted) / self.seconds


def http_open(url: str, body: Path, *, connections: int, rate: float, seconds: float) -> Open:
    """POST `body`, JSON, `rate` times a second, evenly over `connections`, which are opened during the first second.

    One that waits for its answer sends its next when it has that.
    """
    log = body.with_suffix(".log")
    log.unlink(missing_ok=True)
    words = ["h2load", "--h1", "-t1", f"-c{connections}", "-m1", f"-n{round(rate * seconds)}", f"--log-file={log}"]
    evenly = [f"--rps={rate / connections:.6f}", f"-r{max(1, connections // 100)}", "--rate-period=10ms"]
    _run([*words, *evenly, "-H", "content-type: application/json", "-d", str(body), url], most_seconds=3 * seconds + 60)
    began, status, took = np.loadtxt(log, ndmin=2).T
    accepted, refused = status == 200, np.isin(status, (429, 503))
    others = round(rate * seconds) - int(accepted.sum() + refused.sum())
    return Open(float(np.ptp(began)) / 1e6, took[accepted] / 1000, took[refused] / 1000, others)


def _percentile(said: str, which: str) -> float:
    found = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    if found is None:
        raise LoadFailed(said)
    return float(found[1]) * _UNITS[found[2]]


def _run(words: list[str], *, most_seconds: float = 120) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=most_seconds)
    if done.returncode:
        raise LoadFailed(done.stdout + done.stderr)
    return done.stdout
