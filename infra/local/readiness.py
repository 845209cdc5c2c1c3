"""Does serving that is up answer predictions? It does not while nothing is promoted, or SERVING_MODELS is wrong."""

import httpx

from infra.local.caller import Caller
from infra.local.errors import StackError
from infra.local.patience import until
from infra.local.settings import Settings

SAID = "serving is up, not ready: "
SETTLED_SECONDS = 4
"""In which a serving that was just started has read the registry and loaded what is in its store, most of the time."""


def why_not(settings: Settings) -> str:
    """Serving's own reason, model by model; empty when every model answers, and when it cannot be asked.

    With mutual TLS it may take no certificate of ours; that it is up is all that can be told then.
    """
    try:
        answer = Caller.of(settings).get("/v2/health/ready")
        return str(answer.json()["detail"]) if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else ""
    except (StackError, httpx.TransportError, ValueError, TypeError, KeyError):
        return ""


def once_settled(settings: Settings) -> str:
    """The same, of one that may just have been started."""
    until(lambda: not why_not(settings), seconds=SETTLED_SECONDS, every=0.3)
    return why_not(settings)
