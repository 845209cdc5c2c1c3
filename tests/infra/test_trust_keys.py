"""The step before containers: `.env` names the public key of whoever signs here, and nothing else in it changes."""

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.servers import ROOT

NAME = "SERVING_TRUST_KEYS"


@dataclass(frozen=True)
class Project:
    """A folder with the `.env` of a fresh clone."""

    folder: Path

    @property
    def dotenv(self) -> Path:
        return self.folder / ".env"

    @property
    def private_key(self) -> Path:
        return self.folder / ".slipway/keys/signing.pem"

    def change(self, old: str, new: str) -> None:
        text = self.dotenv.read_text()
        assert old in text
        self.dotenv.write_text(text.replace(old, new))

    def run(self, module: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in dotenv_values(ROOT / ".env.example")}
        return subprocess.run(
            [sys.executable, "-m", module],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.dotenv.write_text((ROOT / ".env.example").read_text())
    made.dotenv.chmod(0o600)
    return made


def test_the_empty_line_is_filled_in_and_no_other_is_touched(project: Project) -> None:
    before = project.dotenv.read_text()

    done = project.run("infra.local.trust_keys")

    assert done.returncode == 0, done.stderr
    key = project.run("pipelines.keys").stdout.strip()
    assert project.dotenv.read_text() == before.replace(f"\n{NAME}=\n", f"\n{key}\n")
    assert stat.S_IMODE(project.dotenv.stat().st_mode) == 0o600
    assert stat.S_IMODE(project.private_key.stat().st_mode) == 0o600


def test_a_line_that_is_missing_is_added(project: Project) -> None:
    project.change(f"\n{NAME}=\n", "\n")

    project.run("infra.local.trust_keys")

    assert project.dotenv.read_text().splitlines()[-1] == project.run("pipelines.keys").stdout.strip()


def test_the_private_key_is_not_in_what_containers_are_told(project: Project) -> None:
    project.run("infra.local.trust_keys")

    secret = "".join(project.private_key.read_text().splitlines()[1:-1])
    assert secret not in project.dotenv.read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [(f"\n{NAME}=\n", f"\n{NAME}=mine\n"), ("\nSERVING_TRUST=\n", "\nSERVING_TRUST=digest\n")],
    ids=["keys of their own", "other trust"],
)
def test_what_a_person_has_chosen_stays_and_no_key_is_made(project: Project, old: str, new: str) -> None:
    project.change(old, new)
    before = project.dotenv.read_text()

    done = project.run("infra.local.trust_keys")

    assert (done.returncode, done.stderr) == (0, "")
    assert project.dotenv.read_text() == before
    assert not project.private_key.exists()


def test_a_key_that_is_there_is_named_and_stays(project: Project) -> None:
    line = project.run("pipelines.keys").stdout.strip()
    secret = project.private_key.read_text()

    project.run("infra.local.trust_keys")

    assert f"\n{line}\n" in project.dotenv.read_text()
    assert project.private_key.read_text() == secret


def test_a_key_that_cannot_be_read_stops_it_with_the_reason(project: Project) -> None:
    project.private_key.parent.mkdir(parents=True)
    project.private_key.write_text("no key")
    before = project.dotenv.read_text()

    stopped = project.run("infra.local.trust_keys")

    assert stopped.returncode == 1
    assert "is no Ed25519 private key" in stopped.stderr
    assert stopped.stderr.splitlines()[-1] == "slipway: `python -m pipelines.keys` made no key; the reason is above"
    assert "Traceback" not in stopped.stderr
    assert project.dotenv.read_text() == before
