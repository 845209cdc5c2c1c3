"""The verbs: listed, explained, and the same in the documents and in CI."""

import re
import subprocess

from tests.servers import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = dict(re.findall(r"^([a-z-]+):.*## (.+)$", MAKEFILE, re.MULTILINE))
DOCUMENTS = [file for file in (ROOT / "README.md", ROOT / "infra" / "README.md", ROOT / ".ci" / "run") if file.exists()]


def test_make_lists_every_verb_with_its_purpose() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [(verb, purpose) for verb, purpose in VERBS.items() if f"make {verb:16} {purpose}" not in listed] == []


def test_every_verb_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)

    assert set(VERBS) <= set(phony.split())


def test_documents_name_only_verbs_that_exist() -> None:
    """In code: after a line's start, a prompt, a backtick, or `&&`."""
    called = re.compile(r"(?:^|`|\$ |&& )make ([a-z][a-z-]*)", re.MULTILINE)
    unknown = {
        (file.name, verb) for file in DOCUMENTS for verb in called.findall(file.read_text()) if verb not in VERBS
    }

    assert unknown == set()


def test_ci_calls_what_a_person_calls() -> None:
    assert re.findall(r"^make .+$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE) == ["make check", "make test"]
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_the_readme_stays_short() -> None:
    assert [file.name for file in DOCUMENTS if file == ROOT / "README.md" and file.read_text().count("\n") > 150] == []
