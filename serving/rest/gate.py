"""Who is let through to the app behind `front.py`, where everything but predictions is answered.

Starlette's patterns also match a path with a line's end behind it, which `access/needs.py`, that compares, would take
for another one. So a path with a control character, which no route of ours has, is none here.
"""

import re
import time
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access import needs
from serving.access.guard import Guard
from serving.engine import Engine
from serving.errors import ServingError
from serving.metrics.declared import Route
from serving.rest import problems
from serving.rest.context import CALLER, CODE, named, tell

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Gate:
    def __init__(self, app: ASGIApp, engine: Engine, guard: Guard | None) -> None:
        """Without a `guard` anybody may ask anything."""
        self._app, self._engine, self._guard = app, engine, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, headers = time.perf_counter(), dict(scope["headers"])
        problem = await self._refusal(scope, headers)
        if problem is None:
            await self._app(scope, receive, send)
            return
        self._engine.counts.nobody.ended(Route.OTHER_HTTP, scope["state"][CODE])
        tell(self._engine.log, scope, problem.status_code, time.perf_counter() - began)
        await problem(scope, receive, send)

    async def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes]) -> JSONResponse | None:
        try:
            if _CONTROL.search(scope["path"]):
                raise HTTPException(404)
            if self._guard is not None:
                await admit(self._guard, scope, headers, self._engine.lineup.names[0])
        except Exception as error:  # noqa: BLE001 - the boundary: see problems.Boundary
            named(scope, headers)
            return _problem(scope, error)
        return None


def _problem(scope: Scope, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        return problems.refused(scope, error)
    return problems.answer(scope, error) if isinstance(error, ServingError) else problems.crashed(scope, error)


async def admit(guard: Guard, scope: Scope, headers: Mapping[bytes, bytes], default_model: str) -> None:
    """Whose caller the scope names from here on. Unauthenticated, Forbidden, RateExceeded, AuthUnreachable."""
    need = needs.of(scope["path"], default_model)
    if need is not None:
        caller = guard.known(headers) or await guard.caller(headers)
        scope.setdefault("state", {})[CALLER] = caller
        guard.admit(caller, need)
