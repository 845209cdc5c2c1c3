"""Where traces go, and which."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints


class Tracing(BaseModel, frozen=True, extra="forbid"):
    """Which requests are told to an OpenTelemetry collector, and to which one."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")] | None = None
    """Its address for OTLP over HTTP, such as http://127.0.0.1:4318; without it there are no traces."""

    sample_ratio: float = Field(default=1, ge=0, le=1)
    """Of the requests whose callers have not decided it."""

    service: Annotated[str, StringConstraints(min_length=1)] = "slipway"
    """What they are filed under."""
