"""Follow the registry: one thread a model, so that a long download holds up nobody else.

What a thread does at each poll is in `following/follower.py`. `python -m serving.syncer` is the process that
`python -m serving` keeps running: the only one that talks to MLflow.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import FollowFailed
from serving.following.follower import Follower, Outage, Tools

if TYPE_CHECKING:  # imported by `main`, once it is known that the settings are right
    from serving.following.judge import Judge
    from serving.settings import Settings

log = logging.getLogger(__name__)

LEAST_SECONDS = 0.25
"""Between the beginnings of two polls, however much they are hurried: MLflow has others to answer."""


class Syncer:
    def __init__(self, tools: Tools, *, poll_seconds: float) -> None:
        outage = Outage()
        self._followers = [Follower(name, tools, outage) for name in tools.board.names]
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._due = {name: threading.Event() for name in tools.board.names}
        self._told: dict[Callable[[], None], str] = {}

    def start(self, hurried: Iterable[str] = ()) -> None:
        """`hurried`: names of models, as they come up; each is polled at once, or nearly."""
        # Daemons: a download that hangs must not keep the process from ending.
        for follower in self._followers:
            threading.Thread(target=self._follow, args=[follower], name=f"follow {follower.name}", daemon=True).start()
        threading.Thread(target=self._confirm, name="confirm", daemon=True).start()
        threading.Thread(target=self._listen, args=[hurried], name="hurry", daemon=True).start()

    def stop(self) -> None:
        """No new poll begins; one that runs is not waited for."""
        self._stopping.set()
        for due in self._due.values():
            due.set()

    def _follow(self, follower: Follower) -> None:
        due = self._due[follower.name]
        while not self._stopping.is_set():
            began = time.monotonic()
            due.clear()
            self._guarded(follower.name, follower.poll)
            due.wait(self._poll_seconds)
            self._stopping.wait(began + LEAST_SECONDS - time.monotonic() if due.is_set() else 0)

    def _confirm(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            for follower in self._followers:
                self._guarded(follower.name, follower.confirm)

    def _listen(self, hurried: Iterable[str]) -> None:
        try:
            for name in hurried:
                if name in self._due:
                    self._due[name].set()
        except OSError as error:  # polling goes on, and finds everything a little later
            log.warning("nobody can hurry the syncer", extra={"reason": str(error)})

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if self._told.get(step) != told:  # once, not every second
                if isinstance(error, FollowFailed):
                    log.error("following failed", extra={"model": name, "reason": str(error)})
                else:
                    log.exception("following stumbled", extra={"model": name})
            self._told[step] = told
        else:
            self._told.pop(step, None)


def main() -> None:
    from serving import lifeline, logs, settings
    from serving.following.hurry import Line

    parser = argparse.ArgumentParser(prog="python -m serving.syncer")
    parser.add_argument("--hosts", type=Path, required=True, help="the fork server's socket")
    parser.add_argument("--counted", type=Path, help="folder of what this process counts")
    parser.add_argument(lifeline.FLAG, type=int, help="file descriptor of a pipe that ends with the parent")
    words = parser.parse_args()
    chosen = settings.read()
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    lifeline.end_with_parent(sys.argv)
    os.nice(lifeline.YIELDS)
    syncer, judge = _composed(chosen, words.hosts, words.counted)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    syncer.start(Line(words.hosts.parent).names())
    judge.start()
    ended.wait()
    syncer.stop()
    judge.stop()


def _composed(chosen: "Settings", hosts: Path, counted: Path | None) -> "tuple[Syncer, Judge]":
    """`hosts`: the fork server's socket; its folder is the pod's own. `counted`: this process's, for what it counts."""
    from serving.admission.rules import Rules
    from serving.following.counted import Counted
    from serving.following.judge import Judge
    from serving.following.registry import MlflowRegistry
    from serving.hosting.hosted import Hosts
    from serving.metrics.following import Following
    from serving.store.posted import Board
    from serving.store.versions import Bounds, Store
    from serving.trials.verdict import Limits
    from serving.trust import Trust

    store = Store(chosen.store, Bounds(chosen.keep_versions, chosen.largest_version))
    store.keep_of_others(chosen.models)
    board, trust = Board(chosen.models, store.folder), Trust(chosen.trust, chosen.trust_keys)
    rules, patience = Rules.set_by(chosen), chosen.load_seconds
    attempt = Hosts(hosts, chosen.runtime, rules, patience_seconds=patience).attempt
    following = Following(counted)
    registry = Counted(MlflowRegistry(chosen.tracking_uri), following)
    tools = Tools(registry, store, board, attempt, trust, counts=following)
    said = chosen.candidate
    judge = Judge(board, hosts.parent, Limits(said.max_error_rate, said.max_p99_ratio, said.min_requests))
    return Syncer(tools, poll_seconds=chosen.poll_seconds), judge


if __name__ == "__main__":
    main()
