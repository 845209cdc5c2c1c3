"""The step before containers that makes the first API keys."""

import json
import os
import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.infra.test_trust_keys import Project
from tests.servers import ROOT

NAME = "SLIPWAY_API_KEY"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.dotenv.write_text((ROOT / ".env.example").read_text())
    made.dotenv.chmod(0o600)
    return made


def test_the_first_run_makes_a_key_for_its_user_and_one_for_prometheus(project: Project) -> None:
    before = project.dotenv.read_text().splitlines()

    done = project.run("infra.local.api_key")

    key = dotenv_values(project.dotenv)[NAME]
    assert done.returncode == 0, done.stderr
    assert key
    assert key not in done.stdout + done.stderr
    assert [line for line in project.dotenv.read_text().splitlines() if line not in before] == [f"{NAME}={key}"]
    assert stat.S_IMODE(project.dotenv.stat().st_mode) == 0o600
    access = project.folder / ".slipway/access"
    records = {each["name"]: each["scopes"] for each in json.loads((access / "keys.json").read_text())}
    assert records == {"Prometheus": ["metrics"], "whoever made .env": ["admin"]}
    assert (access / "scrape-token").read_text().startswith("slipway_")


def test_containers_can_read_them_whatever_the_umask(project: Project) -> None:
    before = os.umask(0o077)
    try:
        assert project.run("infra.local.api_key").returncode == 0
    finally:
        os.umask(before)

    access = project.folder / ".slipway/access"
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (access, access / "keys.json", access / "scrape-token")]
    assert modes == [0o755, 0o644, 0o644]


def test_a_later_run_changes_nothing(project: Project) -> None:
    project.run("infra.local.api_key")
    files = [project.dotenv, *(project.folder / ".slipway/access" / each for each in ("keys.json", "scrape-token"))]
    before = [each.read_bytes() for each in files]

    assert project.run("infra.local.api_key").returncode == 0

    assert [each.read_bytes() for each in files] == before
