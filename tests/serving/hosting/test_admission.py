"""What a version may not bring is refused where it would be loaded: in the syncer's trial and in a worker alike."""

import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import mlflow
import pytest
from mlflow.models import infer_signature
from sklearn.cluster import FeatureAgglomeration
from sklearn.pipeline import make_pipeline

from serving.admission.rules import Rules
from serving.errors import VersionRefused
from serving.hosting.hosted import HostedModel, Hosts
from serving.settings import Runtime
from tests.servers import eventually
from tests.serving.admission.versions import MARKING, Marks, pickled_sklearn
from tests.serving.conftest import TABLE, quiet, slope
from tests.serving.hosting.conftest import WITH_CODE, Forking, a_pyfunc
from tests.serving.hosting.test_hosted import ONE_ROW
from tests.serving.twins import a_twin, change_card


@pytest.fixture
def hosts(forking: Forking) -> Hosts:
    return Hosts(forking.door)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.mark.parametrize("make", MARKING.values(), ids=MARKING)
def test_nothing_that_comes_with_a_version_is_run_before_it_is_refused(
    hosts: Hosts, forking: Forking, tmp_path: Path, marker: Path, make: Callable[[Path, Path], Path]
) -> None:
    folder = make(tmp_path / "version", marker)

    for serve in (hosts.attempt, hosts.load):
        with pytest.raises(VersionRefused, match="SERVING_ALLOW_CODE=true"):
            serve(folder)
    assert not marker.exists()

    # It would have been run.
    with suppress(VersionRefused):
        Hosts(forking.door, rules=WITH_CODE).attempt(folder)
    eventually(marker.exists)


def test_a_worker_whose_host_dies_asks_again_what_the_version_is_made_of(
    forking: Forking, tmp_path: Path, marker: Path
) -> None:
    """The files in the store may be others by then, and there may be no manifest to say so."""
    folder = tmp_path / "version"
    save_sklearn(folder)
    model = Hosts(forking.door).load(folder)
    assert isinstance(model, HostedModel)
    pickled_sklearn(folder, marker)
    assert model._host is not None
    model._host.close()

    with pytest.raises(Exception, match="the model failed on this request"):
        model.predict(ONE_ROW)

    assert not marker.exists()


def save_sklearn(folder: Path) -> None:
    with quiet():
        mlflow.sklearn.save_model(
            slope(3),
            str(folder),
            serialization_format="skops",
            signature=infer_signature(TABLE),
            input_example=TABLE.head(1),
            pip_requirements=["scikit-learn"],
        )


def test_with_the_setting_code_that_comes_with_a_version_answers(forking: Forking, tmp_path: Path) -> None:
    model = Hosts(forking.door, rules=WITH_CODE).load(a_pyfunc(tmp_path / "model", predicting="x = x * 5"))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [10]


def a_twin_beside_a_pickle(folder: Path, marker: Path) -> Path:
    a_twin(folder, factor=7)
    example, signature = folder / "serving_input_example.json", folder / "MLmodel"
    kept = {file: file.read_bytes() for file in (example, signature)}
    pickled_sklearn(folder, marker)
    example.write_bytes(kept[example])
    (folder / "model.pkl").write_bytes(pickle.dumps(Marks(marker)))
    return folder


def test_a_pickle_that_has_a_twin_is_served_by_the_twin_and_never_opened(
    hosts: Hosts, forking: Forking, tmp_path: Path, marker: Path
) -> None:
    folder = a_twin_beside_a_pickle(tmp_path / "version", marker)

    hosts.attempt(folder)
    model = hosts.load(folder)

    assert (model.runtime, model.predict(ONE_ROW).outputs[0].tolist()) == ("onnx", [14])
    assert not marker.exists()


@pytest.mark.parametrize("why", ["its twin is not usable", "SERVING_RUNTIME=native", "SERVING_RUNTIME=pyfunc"])
def test_a_pickle_whose_twin_is_not_taken_is_refused(forking: Forking, tmp_path: Path, marker: Path, why: str) -> None:
    folder = a_twin_beside_a_pickle(tmp_path / "version", marker)
    runtimes: dict[str, Runtime] = {"SERVING_RUNTIME=native": "native", "SERVING_RUNTIME=pyfunc": "pyfunc"}
    if why not in runtimes:
        change_card(folder, sha256="0" * 64)
    hosts = Hosts(forking.door, runtimes.get(why, "auto"))

    for serve in (hosts.attempt, hosts.load):
        with pytest.raises(VersionRefused, match=r"^its scikit-learn model 'model\.pkl' is written as 'cloudpickle'"):
            serve(folder)

    assert not marker.exists()


def test_requirements_that_do_not_fit_are_the_reason_of_a_refusal(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    save_sklearn(tmp_path / "version")
    lines = "scikit-learn==0.24.2\nnumpy==1.19.5\nscipy\nno-such-package==1.0\n"
    (tmp_path / "version" / "requirements.txt").write_text(lines)

    with pytest.raises(VersionRefused) as refused:
        hosts.attempt(tmp_path / "version")

    named = f"scikit-learn==0.24.2 ({version('scikit-learn')} here), numpy==1.19.5 ({version('numpy')} here); install"
    assert named in str(refused.value)
    with pytest.raises(VersionRefused, match=r"no-such-package==1\.0 \(not here\)"):
        Hosts(forking.door, rules=Rules(packages="exact")).attempt(tmp_path / "version")
    Hosts(forking.door, rules=Rules(packages="off")).attempt(tmp_path / "version")


def test_a_package_that_is_missed_as_the_version_is_tried_is_named(forking: Forking, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "version", predicting="import no_such_module")
    (folder / "requirements.txt").write_text("numpy\nno-such-package==1.0\n")

    with pytest.raises(VersionRefused) as refused:
        Hosts(forking.door, rules=WITH_CODE).attempt(folder)

    assert str(refused.value) == (
        "ModuleNotFoundError: No module named 'no_such_module'; of what it requires, this is not installed here: "
        "no-such-package==1.0"
    )


def test_a_version_for_another_python_is_refused_where_it_brings_code(forking: Forking, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "version")
    about = json.loads((folder / "MLmodel").read_text())
    about["flavors"]["python_function"]["python_version"] = "3.8.1"
    (folder / "MLmodel").write_text(json.dumps(about))

    with pytest.raises(VersionRefused, match=r"Python 3\.8 \(3\.\d+ here\)"):
        Hosts(forking.door, rules=WITH_CODE).attempt(folder)


def test_a_type_that_is_not_on_the_list_is_read_where_the_setting_names_it(forking: Forking, tmp_path: Path) -> None:
    """The version asks for it, as it must for MLflow to save it."""
    fitted = FeatureAgglomeration(2).fit(TABLE)
    with quiet():
        mlflow.sklearn.save_model(
            make_pipeline(fitted, slope(3)).fit(TABLE, TABLE["x"]),
            str(tmp_path / "version"),
            serialization_format="skops",
            skops_trusted_types=["numpy.mean"],
            signature=infer_signature(TABLE),
            input_example=TABLE.head(1),
            pip_requirements=[],
        )

    with pytest.raises(VersionRefused, match=r"types that serving does not read: numpy\.mean; .*SERVING_SKOPS_TYPES"):
        Hosts(forking.door).attempt(tmp_path / "version")
    Hosts(forking.door, rules=Rules(types=("numpy.mean",))).attempt(tmp_path / "version")
