"""requirements/*.txt: exact pins, one version of everything, and nothing that pyproject.toml does not know."""

import re
import tomllib

import pytest

from tests.servers import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[a-z0-9.+!]+)(?P<where> ; .+)?")
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


def lines(name: str) -> list[str]:
    file = ROOT / "requirements" / f"{name}.txt"
    return [line for line in file.read_text().splitlines() if line and not line.lstrip().startswith("#")]


def pins(name: str) -> set[tuple[str, str]]:
    matches = (PIN.fullmatch(line) for line in lines(name))
    return {(match["name"], match["version"]) for match in matches if match}


def asked_for(group: str) -> set[tuple[str, str]]:
    """Name and version of every direct requirement, those of the groups it includes too."""
    found: set[tuple[str, str]] = set()
    for item in GROUPS[group]:
        if isinstance(item, dict):
            found |= asked_for(item["include-group"])
        else:
            name, version = item.split("==")
            found.add((re.sub(r"\[.*\]", "", name), version))
    return found


@pytest.mark.parametrize("lock", [lock.stem for lock in LOCKS])
def test_a_lock_holds_exact_pins_only(lock: str) -> None:
    assert [line for line in lines(lock) if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("lock", [lock.stem for lock in LOCKS if lock.stem != "dev"])
def test_a_lock_agrees_with_what_is_tested(lock: str) -> None:
    tested = dict.fromkeys(name for name, _ in pins("dev"))

    assert {pin for pin in pins(lock) if pin[0] in tested} <= pins("dev")


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_pyproject_names_the_locked_versions(group: str) -> None:
    lock = group if group in {lock.stem for lock in LOCKS} else "dev"

    assert asked_for(group) <= pins(lock)
