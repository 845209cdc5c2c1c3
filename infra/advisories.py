"""Ask the advisory database about every package in requirements/*.txt; part of `make check`.

Fails for a known vulnerability. Where the database is out of reach it says so, loudly, and fails nothing: a check that
ends every build on a train gets taken out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REQUIREMENTS = Path("requirements")
ACCEPTED: dict[str, str] = {}
"""Advisories that are nothing to us, by id, each with the reason."""
SOCKET_SECONDS = 5
SECONDS = 120
PROBED = 3
"""So many packages tell whether there is a database at all; an index without one answers that it knows none of them."""


class Unreachable(Exception):
    """Why."""


def main() -> int:
    pins = pinned(REQUIREMENTS)
    try:
        _audit(pins[:PROBED])
        found = _audit(pins)
    except Unreachable as reason:
        sys.stderr.write(
            f"\n*** NOT CHECKED: known vulnerabilities of {len(pins)} packages. The advisory database is out of reach: "
            f"{reason}\n*** Run `make check` where it answers.\n\n"
        )
        return 0
    for line in found:
        sys.stderr.write(f"{line}\n")
    if found:
        sys.stderr.write(
            "Take a fixed version (`make lock UPGRADE=1`), or add it to infra/advisories.py with a reason.\n"
        )
    return 1 if found else 0


def pinned(folder: Path) -> list[str]:
    """`name==version` of all locks together."""
    lines = (
        line.split("#")[0].split(";")[0].strip()
        for file in folder.glob("*.txt")
        for line in file.read_text().splitlines()
    )
    # `+cpu` and the like are builds of a version, which advisories do not tell apart.
    return sorted({line.split("+")[0] for line in lines if "==" in line})


def _audit(pins: list[str]) -> list[str]:
    """A line for each vulnerability. Unreachable."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        ignored = [word for each in ACCEPTED for word in ("--ignore-vuln", each)]
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
        command += ["--progress-spinner", "off", "--timeout", str(SOCKET_SECONDS), *ignored, "--requirement", file.name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"no answer in {SECONDS} s") from error
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        raise Unreachable(done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else "no answer") from error
    return told(packages)


def told(packages: list[dict[str, Any]]) -> list[str]:
    """A line for each vulnerability. Unreachable when nothing is known of any package."""
    if all("skip_reason" in each for each in packages):
        raise Unreachable(packages[0]["skip_reason"] if packages else "it was asked about nothing")
    return [
        f"{each['name']} {each['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'no version yet'}"
        for each in packages
        for one in each.get("vulns", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
