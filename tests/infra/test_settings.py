"""Which of two values counts, `.env`'s or the environment's; who is told; and what starts the stack again."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from infra.local.settings import load
from tests.infra.house import House, a_house
from tests.servers import ROOT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose shell exports nothing that `.env` has."""
    for name in dotenv_values(ROOT / ".env.example"):
        monkeypatch.delenv(name, raising=False)
    return a_house(tmp_path)


def test_an_edit_of_env_that_the_shell_overrules_is_warned_of_by_up_and_status(house: House) -> None:
    exported = {"SERVING_AUTH__KEYS": "", "SERVING_PORT": str(house.port("SERVING_PORT"))}  # before the edit
    house.change(SERVING_AUTH__KEYS=".slipway/open-sesame.json")
    told = (
        ".env says SERVING_AUTH__KEYS, but this shell exports another value, which counts: "
        "`unset SERVING_AUTH__KEYS`, or open a new shell\n"
    )

    up, status = house.run("up", "s3", env=exported), house.run("status", "s3", env=exported)

    assert (up.returncode, status.returncode) == (0, 0)
    assert told in up.stdout
    assert told in status.stdout
    assert "open-sesame" not in up.stdout + up.stderr
    assert "unset" not in house.run("status").stdout


def test_several_names_are_one_line(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_PORT", "7999")
    monkeypatch.setenv("SERVING_WORKERS", "7")

    assert load(here.root).warning() == (
        ".env says SERVING_PORT, SERVING_WORKERS, but this shell exports other values, which count: "
        "`unset SERVING_PORT SERVING_WORKERS`, or open a new shell"
    )


def test_what_a_shell_exports_of_the_very_file_is_no_news(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dotenv_values(here.root / ".env").items():
        monkeypatch.setenv(name, value or "")

    assert load(here.root).warning() == ""


@pytest.mark.parametrize("name", ["SLIPWAY_API_KEY", "SLIPWAY_SERVING_URL", "MLFLOW_EXPERIMENT_NAME"])
def test_what_only_clients_read_starts_nothing_again(here: House, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = load(here.root).fingerprint

    monkeypatch.setenv(name, "another")
    found = load(here.root)

    assert (found.fingerprint, found.env[name], found.warning()) == (before, "another", "")


def test_what_the_programs_read_starts_them_again(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(here.root).fingerprint

    monkeypatch.setenv("SERVING_MODELS", "another")

    assert load(here.root).fingerprint != before
