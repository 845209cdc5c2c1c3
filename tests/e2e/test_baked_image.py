"""`make image-baked` for real: an image that answers with no network on a read-only file system.

Needs a Docker engine. Where no image can be pulled, tag stand-ins as the Dockerfiles name their images first.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import workspace
from tests.servers import ROOT, Stack, eventually, free_port
from tests.serving.conftest import Registrar, rows, slope
from tests.workspace import Workspace

pytestmark = pytest.mark.slow

NAME, TAG = "baked-for-ever", "test"
IMAGE = f"slipway-serving-baked:{TAG}"
OTHER_KEY = "A" * 43 + "="


def docker(*words: str, fails: bool = False) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert bool(done.returncode) is fails, f"{words} ended with {done.returncode}:\n{said[-4000:]}"
    return said.strip()


@dataclass(frozen=True)
class Container:
    """May have no network at all, so it is asked from inside."""

    name: str

    def state(self) -> str:
        return docker("inspect", "--format", "{{.State.Health.Status}}", self.name)

    def get(self, path: str) -> Any:
        return self._ask(f"'http://127.0.0.1:8000{path}'")

    def post(self, path: str, body: object) -> Any:
        named = f"'http://127.0.0.1:8000{path}', {json.dumps(body).encode()!r}, {{'content-type': 'application/json'}}"
        return self._ask(f"Request({named})")

    def _ask(self, request: str) -> Any:
        code = f"""
from urllib.error import HTTPError
from urllib.request import Request, urlopen
try:
    print(urlopen({request}, timeout=20).read().decode())
except HTTPError as refused:
    print(refused.read().decode())
"""
        return json.loads(docker("exec", self.name, "python", "-c", code))


@contextmanager
def running(*options: str, network: str = "none") -> Iterator[Container]:
    harsh = ("--read-only", "--network", network, "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    anyone = ("--env", "SERVING_AUTH__ANYONE=true")
    container = Container(docker("run", "--detach", *harsh, *anyone, *options, IMAGE))
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.name)


@pytest.fixture(scope="module")
def registrar(stack: Stack) -> Registrar:
    return Registrar(stack, NAME)


@pytest.fixture(scope="module")
def project(stack: Stack, registrar: Registrar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A copy of the project whose image was made while version 1, which answers 3 * x, was Production and signed."""
    folder = tmp_path_factory.mktemp("project")
    state = {"SLIPWAY_STATE": str(folder / ".slipway"), "SERVING_MODELS": NAME}
    work = workspace.make(folder, {**stack.env, **state}, model=NAME)
    (folder / ".env").write_text((ROOT / ".env.example").read_text())
    registrar.stage(registrar.register(slope(3)))
    work.run("infra.local.trust_keys")
    work.run("pipelines.manifest", NAME, "1")
    work.run("infra.baked", "--tag", TAG)
    yield work
    docker("rmi", "--force", IMAGE)


def test_it_answers_with_no_network_on_a_read_only_file_system(project: Workspace) -> None:
    with running() as container:
        eventually(lambda: container.state() == "healthy", seconds=60)

        assert container.post("/invocations", rows(1.0, 5.0))["predictions"] == pytest.approx([3.0, 15.0])
        assert container.get("/v2")["offline"] is True
        told = container.get(f"/v2/models/{NAME}")
        assert (told["version"], told["trust"], told["registry_reachable"]) == (1, "signed", False)


def test_it_is_called_over_a_published_port(project: Workspace) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running("--publish", f"127.0.0.1:{port}:8000", network="bridge") as container:
        eventually(lambda: container.state() == "healthy", seconds=60)

        assert httpx.post(f"{url}/invocations", json=rows(2.0), timeout=20).json()["predictions"] == pytest.approx(
            [6.0]
        )


def test_what_was_baked_is_verified_when_it_is_loaded(project: Workspace) -> None:
    with running("--env", f"SERVING_TRUST_KEYS={OTHER_KEY}") as container:
        eventually(lambda: container.state() == "unhealthy", seconds=90)

        assert "was made with none of the keys in SERVING_TRUST_KEYS" in container.get("/v2/health/ready")["error"]


def test_it_is_nobody_special_and_cannot_change_its_store(project: Workspace) -> None:
    """Even where the file system is not read-only."""
    attempt = "import os; print(os.getuid(), os.getgid()); open('/slipway/store/lineup.json', 'a')"

    said = docker("run", "--rm", IMAGE, "python", "-c", attempt, fails=True)

    assert said.startswith("10001 10001")
    assert "PermissionError" in said


def test_neither_the_private_key_nor_another_secret_is_in_it(project: Workspace) -> None:
    secret = (project.folder / ".slipway/keys/signing.pem").read_text().splitlines()[1]
    listed = "import os; print([f for d in ('/slipway', '/tmp') for _, _, fs in os.walk(d) for f in fs if 'pem' in f])"
    history = docker("history", "--no-trunc", IMAGE) + docker("inspect", IMAGE)

    assert docker("run", "--rm", IMAGE, "python", "-c", listed) == "[]"
    assert not [each for each in (secret, project.env["AWS_SECRET_ACCESS_KEY"]) if each in history]


def test_an_unsigned_version_makes_no_image(project: Workspace, registrar: Registrar) -> None:
    registrar.stage(registrar.register(slope(1)))

    said = project.run("infra.baked", "--tag", "never", fails=True)

    assert f"bake: {NAME}: version 2 was refused: it has no manifest, and SERVING_TRUST=signed asks for one" in said
    assert "`docker run` stopped; the reason is above, and no image was made" in said
    docker("image", "inspect", "slipway-serving-baked:never", fails=True)
    assert [each.name for each in Path(project.env["SLIPWAY_STATE"]).iterdir()] == ["keys"]


def test_without_trust_it_is_baked_and_says_so(project: Workspace, registrar: Registrar) -> None:
    registrar.stage(registrar.register(slope(2)))
    trusting = replace(project, env={**project.env, "SERVING_TRUST": "digest"})

    said = trusting.run("infra.baked", "--tag", "digest")

    assert f"{NAME}: version 3, not signed, and it has no manifest" in said
    docker("rmi", "--force", "slipway-serving-baked:digest")
