"""A baked store: whole and verified, or not there at all."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from serving.bake import NotBaked, fill
from serving.errors import VersionRefused
from serving.following.follower import Tools
from serving.protocol import Version, View
from serving.store import posted
from serving.store.posted import Board, Posting
from serving.store.versions import Store
from serving.trust import Trust
from tests.fakes import FakeRegistry, a_version, in_production
from tests.servers import ROOT, Server, Stack, eventually, free_port
from tests.serving.conftest import Registrar, predicted, rows, slope

Process = Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]


def accept(folder: Path, _unwanted: object) -> None:
    """Every version is fine."""


class Of(FakeRegistry):
    """Says the same of every model."""

    def read(self, name: str) -> View:
        view = super().read(name)
        return replace(view, in_production=tuple(replace(each, name=name) for each in view.in_production))


def tools(folder: Path, registry: FakeRegistry, *names: str, trust: str = "off") -> Tools:
    modes = {"off": Trust("off"), "signed": Trust("signed", (bytes(32),))}
    return Tools(registry, Store(folder), Board(names or ("iris",), folder), accept, modes[trust])


def test_each_models_production_version_is_posted_and_nothing_else_is_kept(tmp_path: Path) -> None:
    registry = Of(in_production(a_version(3)))

    said = fill(tools(tmp_path, registry, "iris", "wine"))

    postings = posted.read(tmp_path)
    assert {each.name: each.version and each.version.number for each in postings} == {"iris": 3, "wine": 3}
    assert [(tmp_path / each.folder / "MLmodel").read_text() for each in postings] == ["3", "3"]
    assert said == [f"{name}: version 3, not signed, and it has no manifest" for name in ("iris", "wine")]


def test_what_the_registry_disagrees_about_is_told_and_not_baked(tmp_path: Path) -> None:
    registry = FakeRegistry(in_production(a_version(3), alias=a_version(2)))

    (said,) = fill(tools(tmp_path, registry))

    assert "stage Production names version 3, alias production names version 2; 3 is served" in said
    (posting,) = posted.read(tmp_path)
    assert (posting.disagreements, posting.refusal) == ((), None)


@pytest.mark.parametrize(
    ("registry", "trust", "reason"),
    [
        (FakeRegistry(View()), "off", "iris: the registry has no model 'iris' yet; promote one"),
        (FakeRegistry(View(registered=True)), "off", "iris: no version of 'iris' is Production yet; promote one"),
        (FakeRegistry(in_production(a_version(3)), down=True), "off", "iris: connection refused"),
        (FakeRegistry(in_production(a_version(3)), broken={3}), "off", "iris: version 3 was refused: OSError"),
        (FakeRegistry(in_production(a_version(3))), "signed", "iris: version 3 was refused: it has no manifest, and"),
    ],
    ids=["unknown", "none promoted", "unreachable", "broken", "unsigned"],
)
def test_a_model_that_cannot_be_baked_is_told_with_its_reason(
    tmp_path: Path, registry: FakeRegistry, trust: str, reason: str
) -> None:
    with pytest.raises(NotBaked) as refused:
        fill(tools(tmp_path, registry, trust=trust))

    (line,) = refused.value.lines
    assert line.startswith(reason)


def test_a_version_that_does_not_stand_its_trial_is_not_baked(tmp_path: Path) -> None:
    def attempt(_folder: Path, _unwanted: object) -> None:
        raise VersionRefused("no module named xgboost")

    refusing = replace(tools(tmp_path, FakeRegistry(in_production(a_version(3)))), attempt=attempt)

    with pytest.raises(NotBaked, match="iris: version 3 was refused: no module named xgboost"):
        fill(refusing)


def test_every_model_that_cannot_be_baked_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotBaked) as refused:
        fill(tools(tmp_path, FakeRegistry(View()), "iris", "wine"))

    assert [line.partition(":")[0] for line in refused.value.lines] == ["iris", "wine"]


# The command itself


def environment(stack: Stack, name: str, **env: str) -> dict[str, str]:
    names = {"SERVING_MODELS": name, "SERVING_STORE": "nowhere", "PYTHONPATH": str(ROOT)}
    return {**stack.env, **names, **env}


def bake(stack: Stack, name: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving.bake", str(folder)],
        cwd=folder.parent,
        env=environment(stack, name, **env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_what_is_baked_is_served_with_no_registry(
    stack: Stack, registrar: Registrar, process: Process, tmp_path: Path
) -> None:
    registrar.stage(registrar.register(slope(3)))
    folder = tmp_path / "made" / "baked"
    folder.parent.mkdir()
    former = os.umask(0o022)
    try:
        baked = bake(stack, registrar.name, folder)
    finally:
        os.umask(former)

    assert baked.stdout == f"{registrar.name}: version 1, not signed, and it has no manifest\n", baked.stderr
    assert baked.returncode == 0
    assert [each.name for each in folder.parent.iterdir()] == ["baked"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    nowhere = {"MLFLOW_TRACKING_URI": "", "SERVING_STORE": str(folder), "SERVING_OFFLINE": "true"}
    with process(**nowhere) as (_, http):
        eventually(lambda: http.get("/v2/health/ready").status_code == 200, seconds=60)  # scikit-learn is imported
        assert predicted(http.post("/invocations", json=rows(1.0, 5.0))) == [3.0, 15.0]


def test_nothing_is_left_of_what_could_not_be_baked(stack: Stack, registrar: Registrar, tmp_path: Path) -> None:
    registrar.stage(registrar.register(slope(3)))
    (tmp_path / "made").mkdir()
    key = "A" * 43 + "="

    refused = bake(stack, registrar.name, tmp_path / "made/baked", SERVING_TRUST="signed", SERVING_TRUST_KEYS=key)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"bake: {registrar.name}: version 1 was refused: it has no manifest, and SERVING_TRUST=signed asks for one; "
        f"with the key: python -m pipelines.manifest {registrar.name} 1\n"
    )
    assert list((tmp_path / "made").iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "baked").mkdir()
    (tmp_path / "baked/mine").touch()

    refused = bake(stack, "iris", tmp_path / "baked")

    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert [each.name for each in (tmp_path / "baked").iterdir()] == ["mine"]


def test_offline_there_is_nothing_to_bake_from(stack: Stack, tmp_path: Path) -> None:
    refused = bake(stack, "iris", tmp_path / "baked", SERVING_OFFLINE="true")

    assert (refused.returncode, refused.stderr.partition(":")[0]) == (2, "bake")
    assert "SERVING_OFFLINE: is true" in refused.stderr


def test_a_baking_that_is_stopped_leaves_neither_folder_nor_process(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:  # accepts, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = environment(stack, unique_name, MLFLOW_TRACKING_URI=address)
        running = subprocess.Popen([sys.executable, "-m", "serving.bake", "made/baked"], cwd=tmp_path, env=env)
        caller, _ = silent.accept()
        with caller:
            (child,) = eventually(lambda: psutil.Process(running.pid).children())
            running.send_signal(signal.SIGTERM)

            assert running.wait(20) == 130
    eventually(lambda: not child.is_running())
    assert list((tmp_path / "made").iterdir()) == []


def test_a_posting_has_no_word_of_the_registry_it_came_from(tmp_path: Path) -> None:
    """What `lineup.json` says is true wherever it is carried to."""
    version: Version = a_version(3)
    fill(tools(tmp_path, FakeRegistry(in_production(version))))

    (posting,) = posted.read(tmp_path)

    assert posting == Posting("iris", version, posting.folder)
