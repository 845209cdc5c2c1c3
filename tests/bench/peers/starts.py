"""How each peer is started, with two workers, and where and as what it takes rows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.peers.environments import Environment
from tests.bench.peers.handed import Handed
from tests.bench.targets import WORKERS
from tests.servers import free_port

ALONE, TOGETHER = 1, 16
"""Requests predicted at once, at most: its batching off; or as many as each of two workers has of 32 callers."""
BATCH_SECONDS = 0.005


@dataclass(frozen=True)
class Start:
    """`bodies`, by number of rows, are what is posted to `path`; `labels` finds them in what came back."""

    command: list[str]
    bodies: dict[int, Path]
    labels: Callable[[Any], Any] = lambda answer: answer["predictions"]
    path: str = "/invocations"
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """`folder` is the server's own; `batch` is ALONE or TOGETHER."""

    folder: Path
    port: int
    batch: int


def _mlserver(environment: Environment, handed: Handed, place: Place) -> Start:
    """Its own scikit-learn runtime and its own protocol: it is configured, not programmed."""
    server_settings = {
        "debug": False,  # or it logs every request
        "host": "127.0.0.1",
        "http_port": place.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": WORKERS,
        "metrics_dir": str(place.folder / "metrics"),
        "environments_dir": str(place.folder / "environments"),
    }
    batching = {"max_batch_size": place.batch, "max_batch_time": BATCH_SECONDS} if place.batch > ALONE else {}
    model_settings = {
        "name": "measured",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(handed.model)},
        **batching,
    }
    (place.folder / "settings.json").write_text(json.dumps(server_settings))
    (place.folder / "model-settings.json").write_text(json.dumps(model_settings))
    return Start(
        [environment.command("mlserver"), "start", str(place.folder)],
        handed.tensors,
        lambda answer: answer["outputs"][0]["data"],
        "/v2/models/measured/infer",
    )


def _litserve(environment: Environment, handed: Handed, place: Place) -> Start:
    return Start(_module(environment, handed, place), handed.lists)


def _bentoml(environment: Environment, handed: Handed, place: Place) -> Start:
    command = [environment.command("bentoml"), "serve", "tests.bench.peers.bentoml:Predictor"]
    env = {
        "BENCH_MODEL": str(handed.model),
        "BENCH_WORKERS": str(WORKERS),
        "BENCH_BATCH": str(place.batch),
        "BENTOML_HOME": str(place.folder),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    words = ["--host", "127.0.0.1", "--port", str(place.port)]
    return Start([*command, *words], handed.lists, lambda labels: labels, env=env)


def _ray(environment: Environment, handed: Handed, place: Place) -> Start:
    env = {
        "HOME": str(place.folder),  # where it leaves the token that its processes know one another by
        "RAY_TMPDIR": str(place.folder.parent),  # a short one: the paths of its sockets may have 107 letters
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its processes then speak to one another over 127.0.0.1
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return Start(_module(environment, handed, place), handed.lists, env=env)


def _module(environment: Environment, handed: Handed, place: Place) -> list[str]:
    module = f"tests.bench.peers.{environment.peer}"
    words = [handed.model, place.port, WORKERS, place.batch]
    return [environment.command("python"), "-m", module, *map(str, words)]


STARTS = {"mlserver": _mlserver, "litserve": _litserve, "bentoml": _bentoml, "ray": _ray}
