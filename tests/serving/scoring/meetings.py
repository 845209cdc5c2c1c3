"""A version that answers nobody before two processes have been asked: one alone cannot have answered a file."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from serving.protocol import Version
from serving.store import posted
from serving.store.posted import Posting
from tests.serving.conftest import quiet

CODE = """
import os
import time
from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Meeting(PythonModel):
    def predict(self, context, model_input, params=None):
        xs = model_input["x"]
        if (xs >= 0).all():  # not its own example
            (MET / str(os.getpid())).touch()
            until = time.monotonic() + 120
            while len(list(MET.iterdir())) < 2 and time.monotonic() < until:
                time.sleep(0.05)
        return (3 * xs).to_numpy()


set_model(Meeting())
"""


def post_a_meeting(store: Path, met: Path) -> None:
    """As Production of `meeting`; it answers 3 * x. `met`: for the processes to see each other by."""
    met.mkdir()
    code = met.with_suffix(".py")
    code.write_text(f"from pathlib import Path\n\nMET = Path({str(met)!r})\n{CODE}")
    signature = ModelSignature(Schema([ColSpec("double", "x")]), Schema([ColSpec("double", "y")]))
    with quiet():
        mlflow.pyfunc.save_model(
            store / "meeting/1",
            python_model=str(code),
            signature=signature,
            input_example=pd.DataFrame({"x": [-1.0]}),
            pip_requirements=[],
        )
    posted.Board(("meeting",), store).put(Posting("meeting", Version("meeting", 1, 0, "models:/m-1"), "meeting/1"))
