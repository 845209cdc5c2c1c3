"""Every notebook runs from its first cell to its last against real servers, and says what it is there to say."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.notebooks.conftest import MODEL, Desk
from tests.servers import ROOT

NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = 120
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Execute = Callable[..., Any]


@pytest.fixture
def execute(desk: Desk, tmp_path: Path) -> Execute:
    """Run a notebook in a kernel of its own, started in `folder`; nbclient raises where a cell does."""

    def run(name: str, folder: str = "notebooks") -> Any:
        notebook = opened(desk.workspace.folder / "notebooks" / name)
        # Over a socket file, not a TCP port: nobody else on the machine can talk to the kernel, or take its ports.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc")
        kernel.connection_file = str(tmp_path / "kernel.json")
        where = {"metadata": {"path": str(desk.workspace.folder / folder)}}
        client = NotebookClient(notebook, km=kernel, timeout=CELL_SECONDS, resources=where)
        client.execute(env=desk.env, cleanup_kc=True)
        return notebook

    return run


def opened(file: Path) -> Any:
    return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook: Any) -> str:
    text = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    return COLOUR.sub("", text)


def shown(notebook: Any) -> str:
    """Tables and values, as text."""
    return "\n".join(output.data.get("text/plain", "") for output in outputs(notebook) if "data" in output)


def pictures(notebook: Any) -> int:
    return sum("image/png" in output.data for output in outputs(notebook) if "data" in output)


def test_1_data_shows_the_table_its_pictures_and_which_bytes_it_is(desk: Desk, execute: Execute) -> None:
    notebook = execute("1_data.ipynb")

    said = printed(notebook)
    assert "569 rows and 31 columns from sklearn:breast_cancer" in said
    assert "30 number and 0 category columns" in said
    assert "missing values: 0" in said
    (version,) = desk.registry.search_model_versions(f"name = '{MODEL}'")
    assert f"DVC md5     {version.tags['slipway.data.md5']}" in said
    assert f"object URL  {version.tags['slipway.data.url']}" in said
    size = (desk.workspace.folder / "data/raw/data.parquet").stat().st_size
    assert f"on S3       {size} bytes; here {size} bytes" in said
    assert pictures(notebook) == 3


def test_2_compare_runs_shows_every_candidate_the_curve_and_the_lineage(desk: Desk, execute: Execute) -> None:
    notebook = execute("2_compare_runs.ipynb", ".")

    assert all(candidate in shown(notebook) for candidate in ("linear", "forest", "boosting", "network"))
    assert "plots/confusion_matrix.png" in printed(notebook)
    assert f"version {desk.production()} of {MODEL} came of this run; its lineage is the same" in printed(notebook)
    assert pictures(notebook) == 3
    tables = "".join(output.data.get("text/html", "") for output in outputs(notebook) if "data" in output)
    assert desk.workspace.git("rev-parse", "HEAD") in tables


def test_3_promote_and_call_changes_production_and_leaves_it_as_it_was(desk: Desk, execute: Execute) -> None:
    before, versions = desk.production(), desk.versions()

    said = printed(execute("3_promote_and_call.ipynb"))

    assert f"'x-model-version': '{before}'" in said
    assert "400 application/problem+json" in said
    (another,) = re.findall(rf"version (\d+) of {MODEL} is \w+: test", said)
    assert re.findall(r"answered by version (\d+) after", said) == [another, before]
    assert f"version {before} of {MODEL} is Production, version {another} archived" in said
    assert said.rstrip().count("rollback") >= 1
    assert (desk.production(), desk.served(), desk.versions()) == (before, before, versions)


def test_4_sync_async_gives_the_same_predictions_in_every_way(execute: Execute) -> None:
    notebook = execute("4_sync_async.ipynb")

    said = printed(notebook)
    assert "succeeded, 100 of 100 rows" in said
    assert "the same 100 predictions in 6 ways" in said
    assert "a job of all rows" in shown(notebook)
    assert pictures(notebook) == 1


def test_every_notebook_is_executed_above() -> None:
    source = Path(__file__).read_text()

    notebooks = {file.name for file in NOTEBOOKS.glob("*.ipynb")}

    assert notebooks == set(re.findall(r'execute\("(.+?)"', source))


@pytest.mark.parametrize("name", sorted(file.name for file in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    command = [sys.executable, "-m", "nbstripout", "--verify", str(NOTEBOOKS / name)]

    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(file.name for file in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_runs_in_whatever_python_it_is_opened_with(name: str) -> None:
    notebook = opened(NOTEBOOKS / name)

    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
