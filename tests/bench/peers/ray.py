"""Ray Serve's server of one model, alone on a cluster: `python -m tests.bench.peers.ray MODEL PORT WORKERS BATCH`."""
# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"
# Ray is in an environment of its own, not where the types are checked.

import sys
from typing import Any

import joblib
import numpy as np
import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request

WAIT_SECONDS = 0.005


class Predictor:
    def __init__(self, model: str, batch: int) -> None:
        self._model, self._batch = joblib.load(model), batch
        self._together.set_max_batch_size(batch)

    async def __call__(self, request: Request) -> dict[str, Any]:
        rows = np.asarray((await request.json())["rows"], np.float64)
        labels = await self._together(rows) if self._batch > 1 else self._model.predict(rows)
        return {"predictions": labels.tolist()}

    @serve.batch(batch_wait_timeout_s=WAIT_SECONDS)
    async def _together(self, tables: list[np.ndarray]) -> list[np.ndarray]:
        ends = np.cumsum([len(table) for table in tables])[:-1]
        return np.split(self._model.predict(np.concatenate(tables)), ends)


def deployed(model: str, workers: int, batch: int) -> Any:
    """A batch can only be as large as what a worker is given at once: five requests, if nothing is said."""
    more = {"max_ongoing_requests": batch} if batch > 1 else {}
    return serve.deployment(num_replicas=workers, **more)(Predictor).bind(model, batch)


if __name__ == "__main__":
    model, port, workers, batch = sys.argv[1:]
    ray.init(include_dashboard=False, logging_level="warning")
    http = {"host": "127.0.0.1", "port": int(port)}
    serve.start(http_options=http, logging_config=LoggingConfig(enable_access_log=False))
    serve.run(deployed(model, int(workers), int(batch)), route_prefix="/invocations", blocking=True)
