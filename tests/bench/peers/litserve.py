"""LitServe's server of one model: `python -m tests.bench.peers.litserve MODEL PORT WORKERS BATCH`."""
# mypy: disable-error-code="import-not-found,import-untyped,misc"
# LitServe is in an environment of its own, not where the types are checked.

import sys
from typing import Any

import joblib
import litserve
import numpy as np

WAIT_SECONDS = 0.005


class Predictor(litserve.LitAPI):
    def __init__(self, model: str, batch: int) -> None:
        waits = {"max_batch_size": batch, "batch_timeout": WAIT_SECONDS} if batch > 1 else {}
        super().__init__(api_path="/invocations", **waits)
        self._path = model

    def setup(self, device: str) -> None:
        self._model = joblib.load(self._path)

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.asarray(request["rows"], np.float64)

    def predict(self, rows: Any) -> Any:
        """Of one request [row, column], or stacked ones [request, row, column]: all of a load are of one size."""
        return self._model.predict(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1])

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    model, port, workers, batch = sys.argv[1:]
    server = litserve.LitServer(Predictor(model, int(batch)), accelerator="cpu", workers_per_device=int(workers))
    # It would write a client.py into the working directory.
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)
