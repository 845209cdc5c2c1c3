"""Everything that Prometheus and Grafana ask of Slipway has an answer, and warnings are whole sentences.

A real Prometheus on a real server under load, while versions are promoted, refused and tried, callers make mistakes, a
worker dies and jobs are done. What is asked is what infra/monitoring holds, word for word.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.metrics.declared import OF_GPUS
from serving.metrics.gpus import Gpus
from tests.e2e.prometheus import Prometheus, watching
from tests.e2e.publisher import Publisher, questions, with_twin, without_twin
from tests.e2e.running import Running, serving
from tests.infra.monitoring.asked import alerts, of_boards, of_rules, of_variables, selectors
from tests.load.rest import RestLoad
from tests.load.rpc import RpcLoad
from tests.servers import Server, Stack, eventually, spawn

pytestmark = pytest.mark.slow

FACTORS = {1: 2.0, 2: 3.0, 3: 4.0}
"""Of the versions that answer; the fourth is no version at all."""
BROKEN = 4
MOST_WAITING = 3
ROW = {"dataframe_split": {"columns": ["x", "size"], "data": [[1.5, 1.0]]}}
MISFIT = {"dataframe_split": {"columns": ["x"], "data": [["much"]]}}
LOADED_SECONDS = 60


@dataclass
class Watched:
    """A server for three models: one that much happens to, one whose candidate is no good, one with no version."""

    running: Running
    busy: Publisher
    tried: Publisher
    empty: str
    prometheus: Prometheus
    unanswered: dict[str, str] = field(default_factory=dict)
    """Where each is asked, and what."""

    def ask(self) -> bool:
        """Everything that had no answer yet: does everything have one now?"""
        for where, expr in list(self.unanswered.items()):
            if self.prometheus.answer(expr):
                del self.unanswered[where]
        return not self.unanswered

    def post(self, path: str, content: Any) -> httpx.Response:
        return httpx.post(self.running.server.url + path, json=content, timeout=30)

    def knows(self, expr: str) -> Callable[[], bool]:
        return lambda: bool(self.prometheus.answer(expr))


def wanted() -> dict[str, str]:
    """Every question, and every selector of a rule; those about GPUs only where there is one."""
    asked = {f"{each.where}: {each.expr}": each.expr for each in (*of_boards(), *of_variables())}
    asked |= {f"{rule.where}: {each.text}": each.text for rule in of_rules() for each in selectors(rule.expr)}
    if Gpus().gauges():
        return asked
    gpus = {each.name for each in OF_GPUS}
    return {where: expr for where, expr in asked.items() if not {each.metric for each in selectors(expr)} <= gpus}


def published(stack: Stack, folder: Path, name: str) -> Publisher:
    """Versions 1 and 2 with twins, 3 without one, and one without an MLmodel; the first is Production."""
    made = Publisher(stack.tracking_uri, name)
    broken = with_twin(folder / f"{name}-{BROKEN}", 5)
    (broken / "MLmodel").unlink()
    folders = [
        *(with_twin(folder / f"{name}-{number}", FACTORS[number]) for number in (1, 2)),
        without_twin(folder / f"{name}-3", FACTORS[3]),
        broken,
    ]
    assert [made.publish(each) for each in folders] == [1, 2, 3, BROKEN]
    made.promote(1)
    return made


def tries(publisher: Publisher, number: int) -> None:
    tag = {"version": str(number), "mode": "shadow", "since_ms": 1}
    publisher.client.set_registered_model_tag(publisher.name, "slipway.candidate", json.dumps(tag))


@contextmanager
def mistaken(watched: Watched) -> Iterator[None]:
    """Callers who ask wrongly, and for what has no version, twice a second until the block ends."""
    ended = threading.Event()

    def call() -> None:
        while not ended.wait(0.5):
            watched.post(f"/v1/models/{watched.busy.name}/invocations", MISFIT)
            watched.post(f"/v1/models/{watched.empty}/invocations", ROW)
            watched.post("/v1/models/nobodys/invocations", ROW)

    calling = threading.Thread(target=call, name="mistaken")
    calling.start()
    try:
        yield
    finally:
        ended.set()
        calling.join()


@contextmanager
def job_workers(env: dict[str, str], watched: Watched) -> Iterator[None]:
    store = watched.running.server.log.parent
    names = {"SERVING_MODELS": watched.busy.name, "SERVING_STORE": str(store / "store"), "SERVING_ALLOW_CODE": "true"}
    log = store / "jobs.log"
    with log.open("ab") as output:
        started = Server("jobs", 0, spawn([sys.executable, "-m", "serving", "jobs"], {**env, **names}, output), log)
    try:
        yield
    finally:
        started.stop()


@pytest.fixture(scope="module")
def env(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        **stack.env,
        "SERVING_JOBS__DATABASE": f"sqlite:///{tmp_path_factory.mktemp('database')}/jobs.sqlite",
        "SERVING_JOBS__MOST_WAITING": str(MOST_WAITING),
        "SERVING_CANDIDATE__MIN_REQUESTS": "1000000",  # no verdict: it runs until the end
    }


@pytest.fixture(scope="module")
def watched(stack: Stack, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """All that can happen has, and Prometheus has seen it from the beginning."""
    folder = tmp_path_factory.mktemp("monitoring")
    busy, tried = published(stack, folder, "watched-busy"), published(stack, folder, "watched-tried")
    empty = Publisher(stack.tracking_uri, "watched-empty").name
    with ExitStack() as held:
        # Not ready: one model has no version.
        running = held.enter_context(serving(env, folder, busy.name, tried.name, empty, ready="/ping"))
        watched = Watched(
            running, busy, tried, empty, held.enter_context(watching(running.port, folder, env)), wanted()
        )
        for each in (busy, tried):
            eventually(lambda: running.server.finds(f"/v2/models/{each.name}/ready"), seconds=LOADED_SECONDS)  # noqa: B023
        asked = questions(FACTORS)
        held.enter_context(RestLoad(running.port, busy.name, asked, connections=4, every_seconds=0.05))
        held.enter_context(RpcLoad(running.grpc_port, busy.name, asked, channels=2, every_seconds=0.05))
        held.enter_context(mistaken(watched))
        eventually(watched.knows(f'slipway_refusals_total{{model="{busy.name}"}}'), seconds=60)
        _much_happens(watched)
        held.enter_context(job_workers(env, watched))
        yield watched


def _much_happens(watched: Watched) -> None:
    jobs = f"/v1/models/{watched.busy.name}/jobs"
    taken = [watched.post(jobs, ROW).status_code for _ in range(MOST_WAITING + 2)]
    assert taken == [202] * MOST_WAITING + [503] * 2
    for number in (2, 3):
        watched.busy.promote(number)
        eventually(lambda: watched.prometheus.answer(_production(watched, number)), seconds=LOADED_SECONDS)  # noqa: B023
    watched.busy.promote(BROKEN)
    tries(watched.tried, BROKEN)
    eventually(lambda: watched.running.metadata(watched.busy.name)["last_refusal"], seconds=LOADED_SECONDS)
    watched.busy.promote(3)
    tries(watched.busy, 2)
    watched.running.workers()[0].kill()
    watched.running.workers()


def _production(watched: Watched, number: int) -> str:
    return f'slipway_lineup{{model="{watched.busy.name}", slot="production", version="{number}"}}'


def test_every_question_of_rules_and_dashboards_has_an_answer(watched: Watched) -> None:
    assert len(watched.unanswered) > 100
    try:
        eventually(watched.ask, seconds=180, every=2)
    except AssertionError:
        raise AssertionError("no answer to:\n" + "\n".join(sorted(watched.unanswered))) from None


def test_prometheus_asks_the_server_and_understands_its_own_rules(watched: Watched) -> None:
    (target,) = watched.prometheus.targets()
    assert (target["health"], target["lastError"]) == ("up", "")

    rules = watched.prometheus.rules()
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == set(alerts())
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_what_happened_is_warned_of_in_whole_sentences(watched: Watched) -> None:
    busy, tried, empty = watched.busy.name, watched.tried.name, watched.empty
    expected = {
        "SlipwayVersionRefused": f"A version of {busy} was refused by a syncer",
        "SlipwayCandidateOut": f"Candidate {BROKEN} of {tried} is refused",
        "SlipwayProcessDied": f"of 127.0.0.1:{watched.running.port} has died",
        "SlipwayModelNotAnswering": f"{empty} answers in no worker",
    }

    def missing() -> set[str]:
        firing = watched.prometheus.firing()
        return {name for name, sentence in expected.items() if sentence not in firing.get(name, "")}

    eventually(lambda: not missing(), seconds=120, every=1)

    said = " ".join(watched.prometheus.firing().values())
    assert "<no value>" not in said
    assert "<error" not in said


def test_what_is_well_is_not_warned_of(watched: Watched) -> None:
    quiet = {"SlipwayDown", "SlipwayNotWatched", "SlipwayRegistryStale", "SlipwayJobsUnreachable", "SlipwayRestarted"}

    assert not quiet & watched.prometheus.firing().keys()
