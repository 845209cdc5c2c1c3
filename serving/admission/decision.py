"""Admit a version, or refuse it with what to do about it. Called where a version is about to be loaded by MLflow.

A version that is served by its ONNX twin does not come here: nothing but the twin is opened, and it can hold no code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.admission import contents, packages, skops_types
from serving.admission.contents import Code
from serving.admission.rules import Rules
from serving.errors import VersionRefused


def check(folder: Path, flavors: Mapping[str, Any], rules: Rules) -> None:
    """VersionRefused when it may not be loaded, or does not fit what is installed.

    `flavors`: of its MLmodel, as MLflow itself reads that file.
    """
    found = contents.of(folder, flavors)
    if isinstance(found, Code):
        _check_code(folder, found, flavors, rules)
        return
    packages.check(folder, rules.packages, needs=found.needs)
    if found.skops is not None and not rules.code:
        types = skops_types.check(found.skops, rules.types)
        packages.check(folder, rules.packages, needs=frozenset(each.partition(".")[0] for each in types))


def _check_code(folder: Path, found: Code, flavors: Mapping[str, Any], rules: Rules) -> None:
    if not rules.code:
        ways = ", or ".join(filter(None, [found.instead, "set SERVING_ALLOW_CODE=true to serve what brings code"]))
        raise VersionRefused(f"{found.what}, and to load that is to run code that comes with the version; {ways}")
    # Pickled functions are compiled code, which another Python does not understand.
    python = str(flavors["python_function"].get("python_version") or "")
    packages.check(folder, rules.packages, needs=None, python=python)
