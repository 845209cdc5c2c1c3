"""Make all checks side by side, each with an end: a stack that is down must not make one wait for it."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from serving.doctor.declared import CHECKS
from serving.doctor.finding import Finding, Scene, not_known

Check = Callable[[Scene], Iterable[Finding]]


def made(checks: Mapping[str, Check], scene: Scene, seconds: float) -> list[Finding]:
    """By the checks' order. One that takes longer than `seconds` is told of, and left behind."""
    told: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, check in checks.items():
        threading.Thread(target=_make, args=[name, check, scene, told], name=name, daemon=True).start()
    found: dict[str, list[Finding]] = {}
    until = time.monotonic() + seconds
    while len(found) < len(checks):
        try:
            name, findings = told.get(timeout=max(until - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[name] = findings
    late = "it was not done within {:g} s"
    return [
        each for name in CHECKS if name in checks for each in found.get(name, [not_known(name, late.format(seconds))])
    ]


def _make(name: str, check: Check, scene: Scene, told: "queue.SimpleQueue[tuple[str, list[Finding]]]") -> None:
    try:
        found = list(check(scene))
    except Exception as error:  # noqa: BLE001 - one check that stumbles must not take the others along
        found = [not_known(name, f"the check itself failed: {type(error).__name__}")]
    told.put((name, found))
