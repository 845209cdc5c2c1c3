"""`GET /metrics`: what Prometheus asks for. Any worker answers for all processes."""

from fastapi import APIRouter, Request, Response

from serving.reporter import Reporter

router = APIRouter(tags=["Operation"])


@router.get("/metrics", summary="Counts and gauges of all processes, for Prometheus")
async def metrics(request: Request) -> Response:
    """In Prometheus's text format, or as OpenMetrics where Accept asks for it."""
    reporter: Reporter = request.app.state.reporter
    body, media_type = await reporter.text(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type})
