import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow.models import infer_signature

from serving.errors import VersionRefused
from serving.trial import Trial
from tests.servers import ROOT, eventually
from tests.serving.conftest import TABLE, quiet, slope
from tests.serving.twins import X_AND_SIZE, a_twin, write_mlmodel

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_"))},
    "PYTHONPATH": str(ROOT),
    "SERVING_MODELS": "iris",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    "SERVING_LOG_LEVEL": "error",
}


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    """One for all versions, as in the syncer."""
    made = Trial(ENVIRONMENT)
    yield made
    made.close()


@pytest.fixture
def own_trial() -> Iterator[Trial]:
    made = Trial(ENVIRONMENT, patience_seconds=20)
    yield made
    made.close()


def a_pyfunc(folder: Path, loading: str) -> Path:
    """A version whose loader does what `loading` says; each has a module of its own."""
    module = f"loader_of_{folder.parent.name}_{folder.name}"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / f"{module}.py").write_text(
        f"""
import os, signal, threading

class Model:
    def predict(self, rows, params=None):
        print("predicting", flush=True)
        return rows["x"]

def _load_pyfunc(path):
    {loading}
    return Model()
"""
    )
    write_mlmodel(folder, X_AND_SIZE)
    about = json.loads((folder / "MLmodel").read_text())
    about["flavors"] = {"python_function": {"loader_module": module, "code": "code", "env": {}}}
    (folder / "MLmodel").write_text(json.dumps(about))
    (folder / "serving_input_example.json").write_text('{"dataframe_records": [{"x": 1.0, "size": 2.0}]}')
    return folder


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children() if "serving.trial" in each.cmdline()}


def passes(trial: Trial, folder: Path) -> bool:
    try:
        trial(folder)
    except VersionRefused:
        return False
    return True


def test_a_version_that_loads_and_predicts_its_example_passes(trial: Trial, tmp_path: Path) -> None:
    with quiet():
        mlflow.sklearn.save_model(
            slope(3),
            str(tmp_path / "sklearn"),
            serialization_format="skops",
            signature=infer_signature(TABLE),
            input_example=TABLE.head(1),
            pip_requirements=["scikit-learn"],
        )

    trial(tmp_path / "sklearn")
    trial(a_twin(tmp_path / "twin"))


def test_the_child_stays_for_the_next_version_and_for_what_merely_raises(trial: Trial, tmp_path: Path) -> None:
    trial.warm()
    before = children()

    trial(a_twin(tmp_path / "one"))
    with pytest.raises(VersionRefused, match="FileNotFoundError"):
        trial(tmp_path / "nothing")
    trial(a_twin(tmp_path / "two"))

    assert children() == before


@pytest.mark.parametrize(
    ("loading", "reason"),
    [
        ("raise OSError('the file is broken')", "^OSError: the file is broken$"),
        ("raise SystemExit(3)", "^SystemExit: 3$"),
        ("raise ValueError('one line\\n and another')", "^ValueError: one line$"),
    ],
)
def test_what_a_loader_raises_is_the_reason(trial: Trial, tmp_path: Path, loading: str, reason: str) -> None:
    with pytest.raises(VersionRefused, match=reason):
        trial(a_pyfunc(tmp_path / "raising", loading))


def test_a_version_that_cannot_predict_its_own_example_is_refused(trial: Trial, tmp_path: Path) -> None:
    folder = a_twin(tmp_path / "twin")
    (folder / "serving_input_example.json").write_text('{"dataframe_records": [{"x": "one", "size": 1}]}')

    with pytest.raises(VersionRefused, match="InvalidInput: row 1, column 'x'"):
        trial(folder)


@pytest.mark.parametrize(
    ("loading", "status"), [("os._exit(3)", 3), ("os.kill(os.getpid(), signal.SIGSEGV)", -11)], ids=["exit", "segfault"]
)
def test_a_crash_is_a_refusal_and_the_next_version_gets_another_child(
    trial: Trial, tmp_path: Path, loading: str, status: int
) -> None:
    with pytest.raises(VersionRefused, match=rf"it ended the process that tried it \(status {status}\)"):
        trial(a_pyfunc(tmp_path / "crashing", loading))

    trial(a_twin(tmp_path / "good"))


def test_a_version_that_hangs_is_refused_and_its_child_ended(tmp_path: Path) -> None:
    before = children()
    trial = Trial(ENVIRONMENT, patience_seconds=1)
    try:
        with pytest.raises(VersionRefused, match="it did not predict its own example within 1 s"):
            trial(a_pyfunc(tmp_path / "hanging", "threading.Event().wait()"))
        assert children() == before
    finally:
        trial.close()


def test_what_a_version_prints_is_not_taken_for_an_answer(
    own_trial: Trial, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = """print('{"reason": "I am broken"}', flush=True); os.system("echo '{}'"); os.write(1, b'[]')"""

    own_trial(a_pyfunc(tmp_path / "printing", said))

    with pytest.raises(VersionRefused, match="OSError: really"):
        own_trial(a_pyfunc(tmp_path / "both", said + "; raise OSError('really')"))
    assert "I am broken" in capfd.readouterr().err


def test_a_child_that_was_killed_between_two_versions_is_replaced(trial: Trial, tmp_path: Path) -> None:
    folder = a_twin(tmp_path / "twin")
    trial.warm()
    (killed,) = children()
    psutil.Process(killed).kill()

    eventually(lambda: passes(trial, folder))

    assert killed not in children()


def test_a_version_that_hangs_ends_with_the_syncer_that_was_killed(tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "hanging", "print('hangs', flush=True); threading.Event().wait()")
    program = f"from pathlib import Path; from serving.trial import Trial; Trial()(Path({str(folder)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stderr=subprocess.PIPE) as syncer:
        assert syncer.stderr is not None
        assert syncer.stderr.readline() == b"hangs\n"
        (child,) = psutil.Process(syncer.pid).children()

        syncer.kill()

        eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    trial = Trial(ENVIRONMENT)
    trial.close()
    trial.warm()
    assert children() != before

    trial.close()

    assert children() == before
