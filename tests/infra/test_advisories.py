"""What `make check` says of packages with known vulnerabilities, and where it cannot know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.advisories import Unreachable, pinned, told
from tests.servers import ROOT

UNKNOWN = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (1.0)"}
GOOD = {"name": "httpx", "version": "0.28.1", "vulns": []}
BAD = {"name": "urllib3", "version": "1.25.0", "vulns": [{"id": "PYSEC-2020-148", "fix_versions": ["1.25.9"]}]}


def test_every_lock_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("# by uv\na==1.0 ; python_version > '3'\n    # via b\ntorch==2.13.0+cpu\n")
    (tmp_path / "two.txt").write_text("--hash nothing\na==1.0\nb[extra]==2\n")

    assert pinned(tmp_path) == ["a==1.0", "b[extra]==2", "torch==2.13.0"]


def test_a_vulnerability_is_a_line_with_the_version_that_mends_it() -> None:
    assert told([GOOD, BAD, UNKNOWN]) == ["urllib3 1.25.0: PYSEC-2020-148, fixed in 1.25.9"]


def test_an_index_that_knows_no_package_is_no_clean_bill() -> None:
    with pytest.raises(Unreachable, match="not found on PyPI"):
        told([UNKNOWN])


def test_where_the_database_is_out_of_reach_it_is_said_loudly_and_nothing_fails() -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    command = [sys.executable, "-m", "infra.advisories"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0
    assert "*** NOT CHECKED: known vulnerabilities of" in done.stderr
