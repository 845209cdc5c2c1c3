"""BentoML's service of the model at BENCH_MODEL: `bentoml serve tests.bench.peers.bentoml:Predictor`."""
# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"
# BentoML is in an environment of its own, not where the types are checked.

import os
from typing import Any

import bentoml
import joblib
import numpy as np

BATCH = int(os.environ["BENCH_BATCH"])
# BentoML counts rows, and refuses a request that is larger than a batch.
batching: dict[str, Any] = {"batchable": True, "max_batch_size": BATCH * 64} if BATCH > 1 else {}


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]), logging={"access": {"enabled": False}})
class Predictor:
    def __init__(self) -> None:
        self._model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api(route="/invocations", **batching)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        labels: np.ndarray = self._model.predict(rows)
        return labels
