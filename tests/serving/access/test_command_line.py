"""`python -m serving keys`, as a person types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving.access import key_file
from serving.access.keys import Keys
from serving.access.scopes import Scope
from tests.servers import ROOT


def keys(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SERVING_")}
    return subprocess.run(
        [sys.executable, "-m", "serving", "keys", *words],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def id_in(told: str) -> str:
    found = re.search(r"key ([0-9a-f]{12}) ", told)
    assert found is not None
    return found[1]


def test_a_key_is_made_listed_rotated_and_revoked(tmp_path: Path) -> None:
    path = tmp_path / ".slipway/access/keys.json"
    made = keys(tmp_path, "create", "--name", "the shop", "--scopes", "predict:iris,jobs", "--expires", "90d")
    old = made.stdout.strip()
    assert made.returncode == 0
    assert old not in made.stderr
    caller = Keys(path).caller(old.encode())
    assert caller is not None
    assert caller.may(Scope.PREDICT, "iris")

    rotated = keys(tmp_path, "rotate", id_in(made.stderr), "--overlap", "1h")
    new = rotated.stdout.strip()
    assert Keys(path).caller(new.encode()) is not None
    assert Keys(path).caller(old.encode()) is not None, "both are good for a while"
    by_id = {each.id: each for each in key_file.read(path)}
    first, second = by_id[id_in(made.stderr)], by_id[id_in(rotated.stderr)]
    assert second.scopes == first.scopes
    assert first.expires is not None
    assert second.expires is not None
    assert 3500 < (first.expires - second.created).total_seconds() < 3700
    assert (second.expires - second.created).days == 90

    listed = keys(tmp_path, "list").stdout
    assert "the shop" in listed
    assert "predict:iris, jobs" in listed
    assert f"rotated to {second.id}" in listed
    assert old not in listed
    assert new not in listed

    assert keys(tmp_path, "revoke", second.id).returncode == 0
    assert Keys(path).caller(new.encode()) is None


def test_a_name_is_listed_as_it_was_given(tmp_path: Path) -> None:
    keys(tmp_path, "create", "--name", "the [web] shop [/x]", "--scopes", "predict:[bold]iris")

    listed = keys(tmp_path, "list")

    assert listed.returncode == 0, listed.stderr
    assert "the [web] shop [/x]" in listed.stdout
    assert "predict:[bold]iris" in listed.stdout


def test_the_file_is_the_one_that_serving_reads(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SERVING_AUTH__KEYS=from-env-file.json\n")

    keys(tmp_path, "create", "--name", "a")
    keys(tmp_path, "create", "--name", "b", SERVING_AUTH__KEYS="from-environment.json")
    keys(tmp_path, "--file", "given.json", "create", "--name", "c")

    names = [
        (key_file.read(tmp_path / f"{each}.json")[0].name) for each in ("from-env-file", "from-environment", "given")
    ]
    assert names == ["a", "b", "c"]


def test_who_makes_a_key_that_is_not_asked_for_yet_is_told_what_is_to_be_done(tmp_path: Path) -> None:
    before = keys(tmp_path, "create", "--name", "a").stderr
    (tmp_path / ".env").write_text("SERVING_AUTH__KEYS=.slipway/access/keys.json\n")
    after = keys(tmp_path, "create", "--name", "b").stderr

    assert "once .env has SERVING_AUTH__KEYS=.slipway/access/keys.json and it was started again" in before
    assert "started again" not in after


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "--name", "a", "--scopes", "root"), "no such scope; there are predict, jobs"),
        (("create", "--name", "a", "--scopes", ","), "--scopes: none is given"),
        (("create", "--name", "a", "--expires", "soon"), "not a time such as 90d"),
        (("create", "--name", "a", "--rate", "0"), "not a number of requests a second"),
        (("revoke", "abc"), "there is no key abc in .slipway/access/keys.json"),
        (("rotate", "abc"), "`python -m serving keys list` shows them"),
        (("list",), "`python -m serving keys create` makes it"),
        (("--file", "/dev/null/keys.json", "create", "--name", "a"), "/dev/null"),
    ],
)
def test_a_mistake_is_one_line_that_helps_and_changes_nothing(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    ended = keys(tmp_path, *words)

    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    path = tmp_path / ".slipway/access/keys.json"
    assert not path.exists() or key_file.read(path) == ()
