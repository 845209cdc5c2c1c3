from pathlib import Path

import pytest

from tests.bench.peers.environments import PEERS, Environment, absent, found
from tests.repo.test_locks import pins
from tests.servers import ROOT

REQUIREMENTS = ROOT / "tests" / "bench" / "peers"


def an_environment(folder: Path, peer: str, *, version: str | None = "1.2.3") -> None:
    """As `uv venv` and `uv pip install` leave it; without `version`, only as the first one does."""
    (folder / peer / "bin").mkdir(parents=True)
    (folder / peer / "bin" / "python").touch()
    if version:
        about = folder / peer / "lib" / "python3.11" / "site-packages" / f"{peer}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {peer}\nVersion: {version}\n")


def test_without_environments_no_peer_is_measured(tmp_path: Path) -> None:
    there = found(PEERS, tmp_path)

    assert there == []
    line = absent(PEERS, there)
    assert line is not None
    assert all(title in line for title in PEERS.values())
    assert (ROOT / line[line.index("(") + 1 : -1]).is_file()


def test_an_environment_with_the_peer_in_it_is_found(tmp_path: Path) -> None:
    an_environment(tmp_path, "ray", version="2.60.0")
    an_environment(tmp_path, "bentoml")

    there = found(PEERS, tmp_path)

    assert [(each.title, each.version) for each in there] == [("BentoML", "1.2.3"), ("Ray Serve", "2.60.0")]
    assert absent(["ray", "bentoml"], there) is None
    assert "MLServer, LitServe (" in str(absent(PEERS, there))


def test_only_peers_that_were_asked_for_are_looked_for(tmp_path: Path) -> None:
    an_environment(tmp_path, "ray")

    assert found(["litserve"], tmp_path) == []


def test_an_environment_without_the_peer_or_its_python_is_not_there(tmp_path: Path) -> None:
    an_environment(tmp_path, "ray", version=None)
    an_environment(tmp_path, "litserve")
    (tmp_path / "litserve" / "bin" / "python").unlink()
    (tmp_path / "litserve" / "bin" / "python").symlink_to(tmp_path / "gone")

    assert found(PEERS, tmp_path) == []


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_reads_models_with_the_scikit_learn_that_writes_them(peer: str) -> None:
    lines = (REQUIREMENTS / f"{peer}.txt").read_text().splitlines()
    asked = {tuple(line.split("==")) for line in lines if not line.startswith("#")}

    assert {pin for pin in asked if pin[0] == "scikit-learn"} == {
        pin for pin in pins("dev") if pin[0] == "scikit-learn"
    }
    assert peer in {name.partition("[")[0] for name, *_ in asked}


def test_a_command_is_the_environments_own(tmp_path: Path) -> None:
    assert Environment("ray", tmp_path).command("python") == str(tmp_path / "bin" / "python")
