"""What a path of the REST port asks of its caller.

Pure, and closed: a path that nobody thought of here needs a caller who is known. `tests/serving/access/test_matrix.py`
goes through the table of routes.
"""

from dataclasses import dataclass

from serving.access.scopes import Scope

HEALTH = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})
SIGNED = "/v1/webhooks/mlflow"
"""Its messages are signed by MLflow, which has no key of ours."""

DOCUMENT = "/openapi.json"
"""Shows the inputs of the model that /invocations asks, and an example of them."""


@dataclass(frozen=True, slots=True)
class Need:
    """`scope` None: any caller who is known and, where there is a `model`, has to do with it."""

    scope: Scope | None = None
    model: str = ""


def of(path: str, default_model: str) -> Need | None:
    """None: open to everybody. `default_model`: the one that /invocations asks."""
    if path in HEALTH or path == SIGNED:
        return None
    if path == "/invocations":
        return Need(Scope.PREDICT, default_model)
    if path == DOCUMENT:
        return Need(model=default_model)
    return Need(Scope.METRICS) if path == "/metrics" else _below_a_model(path)


def _below_a_model(path: str) -> Need:
    head, _, rest = path.removeprefix("/").partition("/models/")
    model, _, below = rest.partition("/")
    if head == "v1" and (below == "jobs" or below.startswith("jobs/")):
        return Need(Scope.JOBS, model)
    if head == "v1" and below == "invocations":
        return Need(Scope.PREDICT, model)
    if head == "v2":
        return Need(Scope.PREDICT if below == "infer" or below.endswith("/infer") else None, model)
    return Need()
