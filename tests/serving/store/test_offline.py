"""Serving with no registry: `python -m serving` over a store that has everything, and over one that lacks something."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from serving.store import offline
from serving.store.posted import FILE, Board, Posting
from tests.fakes import a_version
from tests.servers import ROOT, Server, eventually, free_port, server
from tests.serving.manifests import write_manifest
from tests.serving.twins import a_twin, post

BODY = {"dataframe_split": {"columns": ["x", "size"], "data": [[2.0, 1.0]]}}


def environment(store: Path, **env: str) -> dict[str, str]:
    """Everything an offline server is told; of a registry, nothing."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_", "SLIPWAY_"))
    }
    own = {"SERVING_OFFLINE": "true", "SERVING_MODELS": "iris", "SERVING_STORE": str(store), "SERVING_WORKERS": "1"}
    return {**inherited, "PYTHONPATH": str(ROOT), **own, **env}


@contextmanager
def serving(store: Path, *, ready: str) -> Iterator[Server]:
    port = free_port()
    env = environment(store, SERVING_PORT=str(port), SERVING_GRPC_PORT=str(free_port()))
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=store.parent, ready=ready) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Has a version of `iris` that answers 3 * x, posted while the registry was there."""
    (tmp_path / "store").mkdir()
    post(tmp_path / "store", 7, factor=3)
    return tmp_path / "store"


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {str(each): (each.stat().st_mtime_ns, each.read_bytes()) for each in files}


def test_a_store_is_served_with_no_registry_and_nothing_is_written_to_it(store: Path) -> None:
    before = contents(store)

    with serving(store, ready="/v2/health/ready") as running:
        answer = httpx.post(f"{running.url}/invocations", json=BODY, timeout=20)
        children = [" ".join(each.cmdline()) for each in psutil.Process(running.process.pid).children()]

    assert (answer.json()["predictions"], answer.headers["x-model-version"]) == ([6], "7")
    assert not [each for each in children if "serving.syncer" in each]
    assert contents(store) == before


def test_an_offline_server_says_so_and_claims_no_registry(store: Path) -> None:
    with serving(store, ready="/v2/health/ready") as running:
        told = httpx.get(f"{running.url}/v2").json()
        model = httpx.get(f"{running.url}/v2/models/iris").json()

    assert told["offline"] is True
    assert told.get("registry_reachable", False) is False
    assert told.get("stale", False) is False
    assert model["registry_reachable"] is False


def test_a_stored_version_is_verified_before_it_is_loaded(store: Path) -> None:
    folder = a_twin(store / "iris/8")
    version = replace(a_version(8), tags=write_manifest(folder))
    (folder / "model.onnx").write_bytes(b"another model")
    Board(("iris",), store).put(Posting("iris", version, "iris/8"))

    with serving(store, ready="/health") as running:
        said = eventually(lambda: "was refused" in (text := httpx.get(f"{running.url}/v2/health/ready").text) and text)

    assert "'model.onnx' is not the file that its manifest describes" in str(said)


def refusal(store: Path, **env: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "serving"],
        cwd=store.parent,
        env=environment(store, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()


def test_it_does_not_start_without_a_version_of_each_model_and_names_those_that_lack(store: Path) -> None:
    said = refusal(store, SERVING_MODELS="wine,iris,tea")

    advice = (
        "and SERVING_OFFLINE=true asks no registry for one; `python -m serving.bake FOLDER` makes a store that has it"
    )
    lacking = [f"{store} has no version of '{name}'" for name in ("wine", "tea")]
    assert said == [f"serving: SERVING_STORE: {each}, {advice}" for each in lacking]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path / "store")

    assert f"{tmp_path / 'store'} has no version of 'iris'" in line
    assert not (tmp_path / "store").exists()


def test_a_posted_version_whose_files_are_gone_lacks(store: Path) -> None:
    posting = Posting("iris", a_version(9), "iris/9-elsewhere")
    Board(("iris",), store).put(posting)

    assert [line.partition(",")[0] for line in offline.lacking(store, ("iris",))] == [
        f"SERVING_STORE: {store} has no version of 'iris'"
    ]
    (store / "iris/9-elsewhere").mkdir()
    assert offline.lacking(store, ("iris",)) == []


def test_a_model_that_was_posted_without_a_version_lacks(store: Path) -> None:
    Board(("iris",), store).put(replace(Posting("iris"), waiting_for="no version is Production"))

    assert len(offline.lacking(store, ("iris",))) == 1


@pytest.mark.parametrize("text", ["half", json.dumps({"iris": 1})])
def test_a_lineup_that_is_none_is_one_line(store: Path, text: str) -> None:
    (store / FILE).write_text(text)

    (line,) = offline.lacking(store, ("iris",))

    assert line.startswith(f"SERVING_STORE: {store / FILE}: ")
    assert line.endswith("; `python -m serving.bake FOLDER` makes a store to serve offline from")
