"""Where MLflow's registry webhooks arrive. They only hurry the syncer's next poll: what that reads counts."""

import logging
import time
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from serving.errors import TooLarge
from serving.following import webhooks
from serving.following.webhooks import LARGEST_BYTES, Message

log = logging.getLogger(__name__)


def router(secret: str, hurry: Callable[[str], None], clock: Callable[[], float] = time.time) -> APIRouter:
    """`hurry` is given the name of a model, followed here or not. It must not block."""
    made = APIRouter(prefix="/v1/webhooks", tags=["MLflow"])

    @made.post("/mlflow", summary="A registry webhook", status_code=202, response_class=Response)
    async def heard(request: Request) -> Response:
        delivery, timestamp, signature = (
            request.headers.get(each, "") for each in (webhooks.DELIVERY, webhooks.TIMESTAMP, webhooks.SIGNATURE)
        )
        name = webhooks.model_of(Message(delivery, timestamp, signature, await _body(request)), secret, clock())
        log.debug("webhook heard", extra={"model": name})
        hurry(name)
        return Response(status_code=202)

    return made


async def _body(request: Request) -> bytes:
    """TooLarge, before the rest of it is read."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BYTES:
            raise TooLarge(f"a webhook has at most {LARGEST_BYTES} bytes")
    return bytes(body)
