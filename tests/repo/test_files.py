"""What no file of the repository may hold."""

import re
import sys
from pathlib import Path

from tests.repo.files import ours, text
from tests.servers import ROOT

HOSTS = [  # in pieces, or this file would hold them
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("conda", "anaconda", "org"),
        ("registry", "npmjs", "org"),
    )
]
SECRETS = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[pousr]_[A-Za-z0-9]{36}"  # GitHub
    r"|\bhf_[A-Za-z]{34}\b"  # Hugging Face
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}"  # Slack
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\."  # a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{number}"
        for file in ours()
        for number, line in enumerate(text(file).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_holds_a_path_of_this_machine() -> None:
    here = {str(ROOT), str(ROOT.parent), sys.base_prefix, str(Path.home() / ".")}
    deep = [re.escape(path) for path in here if path.count("/") > 1 or path == str(ROOT)]

    assert not lines_with(re.compile("|".join([*deep, r"(?<![\w.])/(home|Users)/[a-z]\w*/"])))


def test_no_file_names_a_package_index() -> None:
    assert not lines_with(re.compile("|".join(map(re.escape, HOSTS))))


def test_no_file_holds_a_secret() -> None:
    assert not lines_with(SECRETS)


def test_what_a_person_keeps_is_not_in_git() -> None:
    assert not {Path(".env"), Path(".dvc/config.local")} & set(ours())
    assert not [file for file in ours() if file.parts[0] in (".slipway", ".venv")]


def test_no_test_replaces_parts_of_the_program() -> None:
    """Ruff bans `unittest.mock` and `time.sleep`; it cannot see this."""
    assert not lines_with(re.compile(r"monkeypatch\.setatt[r]"))
