"""What a path of the REST port asks of its caller.

Pure, and closed: a path that nobody thought of here needs a caller who is known. `tests/serving/access/test_matrix.py`
goes through the table of routes.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from serving.access.scopes import Grant, Scope, sufficient

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
    enough: frozenset[Grant] = field(init=False, compare=False, repr=False)
    """Who holds one of these may do it, where there is a `scope`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "enough", sufficient(self.scope, self.model) if self.scope else frozenset())


@lru_cache(64)
def of(path: str, default_model: str) -> Need | None:
    """None: open to everybody. `default_model`: the one that /invocations asks."""
    if path in HEALTH or path == SIGNED:
        return None
    if path == "/invocations":
        return Need(Scope.PREDICT, default_model)
    if path == DOCUMENT:
        return Need(model=default_model)
    return Need(Scope.METRICS) if path == "/metrics" else _below_a_model(path)


@lru_cache(64)
def prediction(model: str) -> Need:
    """Of whoever asks `model` for one."""
    return Need(Scope.PREDICT, model)


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
