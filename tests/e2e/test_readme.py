"""The README's commands, run as they are written, after `make demo`."""

import re
import shlex
import sys

import pytest

from tests.e2e.driver import Platform
from tests.servers import ROOT, eventually, free_port, server

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, re.DOTALL)
MAKE = {"make train": "python -m pipelines", "make promote": "python -m pipelines.promote"}
"""A copy of the project has no .venv for make to keep; these are the lines that make runs."""


def script(text: str, platform: Platform) -> str:
    """A block for this platform: its own ports, this Python instead of .venv."""
    said = text.replace("source .venv/bin/activate; ", "").replace("http://127.0.0.1:8000", platform.serving_url)
    said = said.replace("grpc://127.0.0.1:8001", f"grpc://127.0.0.1:{platform.port('SERVING_GRPC_PORT')}")
    for verb, command in MAKE.items():
        said = said.replace(verb, command)
    return said


def test_what_stands_for_make_is_what_make_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for verb, command in MAKE.items():
        recipe = re.search(rf"(?m)^{verb.removeprefix('make ')}:.*\n\t@\$\(run\) (\S+)", makefile)
        assert recipe is not None
        assert command == f"python -m {recipe.group(1)}"


def serves(said: str, platform: Platform) -> None:
    """A block that starts a server answers until it is stopped."""
    port, folder = free_port(), platform.workspace.folder
    there = said.replace("8010", str(port)).replace("8011", str(free_port()))
    loaded = "set -a; source .env; set +a"  # as an earlier block of the README has it
    command = ["bash", "-euc", f"cd {shlex.quote(str(folder))}; {loaded}; {there}"]
    with server("another", command, port=port, env=platform.workspace.env, folder=folder, ready="/ping") as running:
        eventually(lambda: running.finds("/v2/health/ready"), seconds=60)


@pytest.mark.slow
def test_every_command_of_the_readme_works_after_the_demo(alone: Platform) -> None:
    alone.demo()
    ran, printed = [], ""
    for language, text in BLOCKS:
        if "make demo" in text or "make compose-up" in text:  # run by tests of their own
            continue
        said = script(text, alone)
        if re.search(r"python -m serving$", text, re.MULTILINE):
            serves(said, alone)
            continue
        if language == "python":
            said = f"{shlex.quote(sys.executable)} -c {shlex.quote(said)}"
        out = alone.workspace.command("bash", "-euc", said)
        assert "Traceback" not in out
        ran.append(text)
        printed += out

    assert len(ran) >= 4
    # The example changes what is promoted, compares it with what was, and leaves the pipeline's files as they were.
    assert re.search(r"(?m)^reports/evaluate\.json +best\.f1_macro +0\.\d+ +0\.\d+ +-?0\.\d+", printed)
    assert "version 2 of slipway is Production, version 1 archived" in printed
    assert alone.workspace.run("dvc", "status").strip().endswith("up to date.")
    alone.eventually_serves("1")  # the last word of the README is a rollback
