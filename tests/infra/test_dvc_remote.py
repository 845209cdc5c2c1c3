"""After `up`, plain `dvc` commands reach the local S3 server from any shell."""

import stat
import subprocess
import sys

import pytest

from tests.infra.house import House


def dvc(house: House, *arguments: str) -> str:
    """What `dvc` prints, run with no AWS names in its environment."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=house.root,
        env=house.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(house: House) -> House:
    dvc(house, "init", "--no-scm", "--quiet")
    dvc(house, "remote", "add", "--default", "--quiet", "s3", "s3://dvc")
    return house


def test_dvc_push_needs_no_environment(repository: House) -> None:
    (repository.root / "data").write_text("42")

    up = repository.run("up", "s3")
    dvc(repository, "add", "--quiet", "data")
    pushed = dvc(repository, "push")

    assert up.returncode == 0, up.stderr
    assert "1 file pushed" in pushed
    assert [path.read_text() for path in (repository.state / "s3" / "dvc").rglob("*") if path.is_file()] == ["42"]


def test_the_keys_are_for_their_owner_only(repository: House) -> None:
    repository.run("up", "s3")

    written = repository.root / ".dvc" / "config.local"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "change-me-s3" in written.read_text()


def test_a_remote_by_another_name_is_left_alone(repository: House) -> None:
    dvc(repository, "remote", "rename", "--quiet", "s3", "elsewhere")

    assert repository.run("up", "s3").returncode == 0
    assert "change-me-s3" not in "".join(file.read_text() for file in (repository.root / ".dvc").glob("config*"))
