"""The tracer that the settings ask for. OpenTelemetry is imported here and not before."""

from serving.settings import Tracing
from serving.tracing.tracer import Tracer


def opened(chosen: Tracing) -> Tracer | None:
    """None without an endpoint."""
    if chosen.endpoint is None:
        return None
    from serving.tracing.export import Export

    export = Export(chosen.endpoint, chosen.service)
    return Tracer(chosen.sample_ratio, export, export.close)
