"""Ask over HTTP and over gRPC, whatever is to be asked, and say what is wrong with the answer, if anything is."""

import asyncio
from typing import Any

import grpc
import httpx

from tests.fuzz.calls import Method

SECONDS = 30
FINE_STATUSES = {501: "no-jobs", 504: "deadline-expired"}
"""A server without a place for files says so to a job of files; who says when it must be answered may be too late."""
OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
"""Statuses that say that something is wrong with the server."""

CUT_OFF = "Internal error from Core"
"""What gRPC's client says by itself when a stream is answered before it has sent all of its messages."""


def wrong_with(answer: httpx.Response) -> str | None:
    if answer.status_code < 400:
        return None
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.status_code} and no reason: {answer.content[:200]!r}"
    problem = answer.json()
    code = problem["type"].rpartition(":")[2]
    if answer.status_code >= 500 and FINE_STATUSES.get(answer.status_code) != code:
        return f"{answer.status_code} {problem['detail']}"
    return None if problem["detail"] else f"{answer.status_code} and an empty reason"


async def wrong_with_call(channel: grpc.aio.Channel, method: Method, messages: list[bytes]) -> str | None:
    try:
        async with asyncio.timeout(SECONDS):
            await _called(channel, method, messages)
    except grpc.aio.AioRpcError as error:
        if error.code() in OURS and error.details() != CUT_OFF:
            return f"{error.code().name} {error.details()}"
        return None if error.details() else f"{error.code().name} and no reason"
    except TimeoutError:
        return f"no answer in {SECONDS} s"
    return None


async def _called(channel: Any, method: Method, messages: list[bytes]) -> None:
    call: Any
    match method.takes_a_stream, method.answers_a_stream:
        case False, False:
            await channel.unary_unary(method.path)(messages[0])
            return
        case True, False:
            await channel.stream_unary(method.path)(iter(messages))
            return
        case False, True:
            call = channel.unary_stream(method.path)(messages[0])
        case _:
            call = channel.stream_stream(method.path)(iter(messages))
    async for _ in call:
        pass
