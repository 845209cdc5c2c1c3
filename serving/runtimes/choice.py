"""Load a version with the quickest runtime that answers as it does: its ONNX twin, else its library, else pyfunc.

In this process: a worker asks a host (`hosting/`) to do it wherever MLflow would have to be imported.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from serving.admission.rules import STRICT, Rules
from serving.errors import VersionRefused
from serving.protocol import Model
from serving.runtimes import mlmodel, twin
from serving.runtimes.examples import try_out
from serving.runtimes.mlmodel import MlModel
from serving.settings import Runtime


def preload() -> None:
    """Import what versions without a twin need: seconds that a promotion then does not have to wait for."""
    if not find_spec("mlflow"):
        return
    for name in ("serving.runtimes.native", "sklearn", "skops.io"):
        if find_spec(name.partition(".")[0]):
            import_module(name)
    if find_spec("sklearn"):
        _see_a_table()


def _see_a_table() -> None:
    """At the first one it is given, scikit-learn looks through all installed packages for other kinds of tables."""
    from pandas import DataFrame
    from sklearn.preprocessing import StandardScaler

    StandardScaler().fit(DataFrame({"x": [0.0]}))


def load(folder: Path, runtime: Runtime = "auto", rules: Rules = STRICT) -> Model:
    """The model in `folder`, tried on its own input example. VersionRefused, or whatever the model raises.

    `rules`: what it may be made of. A twin is not asked: nothing else of the version is opened then.
    """
    about = mlmodel.read(folder)
    found = twin.usable(about, runtime)
    return _admitted(about, runtime, rules) if found is None else found


def _admitted(about: MlModel, runtime: Runtime, rules: Rules) -> Model:
    from serving.admission import packages

    try:
        model = _library(about, runtime, rules)
        try_out(model)
    except ImportError as error:  # not before: MLflow writes down more than a version needs
        said = str(error).partition("\n")[0][:200]
        raise VersionRefused(f"{type(error).__name__}: {said}{packages.absent(about.folder)}") from error
    return model


def _library(about: MlModel, runtime: Runtime, rules: Rules) -> Model:
    from serving.admission import decision
    from serving.runtimes import native, pyfunc

    decision.check(about.folder, pyfunc.flavors(about), rules)
    plain = pyfunc.load(about)
    if runtime == "pyfunc":
        return plain
    quicker = native.of(plain)
    if quicker is None and runtime == "native":
        raise VersionRefused(
            "its library does not answer arrays as pyfunc does, and SERVING_RUNTIME=native asks for it"
        )
    return quicker or plain
