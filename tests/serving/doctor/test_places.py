"""Who holds the ports of serving: itself, whatever it asks its callers for, or a stranger."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import settings
from serving.access import key_file
from serving.doctor import places
from serving.doctor.finding import Scene
from serving.settings import Settings
from tests.serving.tls.papers import Papers
from tests.serving.tls.test_process import environment, serving

Chosen = Callable[[dict[str, str]], Settings]


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file that nobody's key is in."""
    with key_file.changing(tmp_path / "keys.json"):
        return tmp_path / "keys.json"


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Chosen:
    def read(env: dict[str, str]) -> Settings:
        for name in os.environ.keys() - env.keys():
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        return settings.read()

    return read


@pytest.mark.parametrize("mutual", [None, True], ids=["plain", "mutual TLS"])
def test_serving_that_asks_for_keys_and_certificates_is_known(
    papers: Papers, keys: Path, chosen: Chosen, mutual: bool | None
) -> None:
    env = {**environment(papers, mutual=bool(mutual)), "SERVING_AUTH__KEYS": str(keys)}
    if mutual is None:
        env |= dict.fromkeys(papers.env(), "")
    with serving(papers, env):
        found = list(places.ports(Scene(chosen(env), env)))

    assert [(each.mark, each.said.endswith("is taken by serving, which runs")) for each in found] == [("ok", True)] * 2


@pytest.mark.parametrize("mutual", [None, False], ids=["plain", "TLS"])
def test_a_stranger_is_told_of(papers: Papers, chosen: Chosen, mutual: bool | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        env = {**environment(papers, mutual=False), "SERVING_PORT": str(stranger.getsockname()[1])}
        if mutual is None:
            env |= dict.fromkeys(papers.env(), "")
        found = list(places.ports(Scene(chosen(env), env, patience_seconds=0.2)))

    assert [each.code for each in found] == ["port-taken", found[1].code]
    assert found[1].mark == "ok"
