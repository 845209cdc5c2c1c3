"""The files that are, or are about to be, in git."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers import ROOT


def ours() -> list[Path]:
    """Relative to the repository; also files that are not added yet, never what git ignores."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({Path(name) for name in names if name and (ROOT / name).is_file()})


def text(file: Path) -> str:
    """Empty for pictures and the like."""
    try:
        return (ROOT / file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def strings(file: Path) -> Iterator[str]:
    """Every string that a Python file writes out, docstrings and parts of f-strings included."""
    for node in ast.walk(ast.parse(text(file))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
