"""A model to score by: an ONNX twin that answers 3 * x."""

import pytest

from serving.protocol import Model
from serving.runtimes import mlmodel, twin
from tests.serving.twins import a_twin


@pytest.fixture(scope="session")
def slope_of_three(tmp_path_factory: pytest.TempPathFactory) -> Model:
    found = twin.load(mlmodel.read(a_twin(tmp_path_factory.mktemp("twins") / "3", factor=3)))
    assert found is not None
    return found
