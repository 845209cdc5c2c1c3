"""docs/doctor.md and the code name the same checks, troubles and remedies, and each is looked for."""

import re

import pytest

from serving.doctor.declared import CHECKS, EVERYWHERE, NOT_KNOWN, TROUBLES
from serving.doctor.every import CHECKS as MADE
from tests.repo.files import strings
from tests.servers import ROOT

DOCS = (ROOT / "docs/doctor.md").read_text()
ROOM = ROOT / "serving/doctor"


def test_the_docs_have_every_trouble_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.+) \|$", DOCS, re.MULTILINE)
    told = {code: (mark, remedy) for code, mark, remedy in rows}

    declared = {code: (each.mark, each.remedy) for code, each in TROUBLES.items()}
    assert told == {**declared, NOT_KNOWN: (EVERYWHERE.mark, EVERYWHERE.remedy)}


def test_the_docs_have_every_check_and_no_other() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+\?) \|$", DOCS, re.MULTILINE)) == CHECKS


def test_every_check_is_made() -> None:
    assert list(MADE) == list(CHECKS)
    assert {each.check for each in TROUBLES.values()} == set(CHECKS)


@pytest.mark.parametrize("code", sorted(TROUBLES))
def test_every_trouble_is_looked_for_somewhere(code: str) -> None:
    looking = [file for file in ROOM.glob("*.py") if file.name != "declared.py"]

    assert [file.name for file in looking if code in strings(file.relative_to(ROOT))]
