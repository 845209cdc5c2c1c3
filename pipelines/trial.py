"""A candidate beside Production, as one tag of the registered model says it to serving. Pure.

One tag, so that a change is one write. A person may edit it in the MLflow UI.
"""

from typing import Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipelines.errors import NoCandidate

TAG = "slipway.candidate"
VERDICT_TAG = "slipway.candidate.verdict"
"""Of a version: what came of its last trial."""


class Trial(BaseModel, frozen=True):
    """Which version is tried, and how. Another `since_ms` is another trial, whose counts begin anew."""

    version: str = Field(pattern=r"^[1-9][0-9]*$")
    mode: Literal["canary", "shadow"]
    percent: int | float | None = Field(default=None, ge=0, le=100)
    """Of the callers, for a canary; a shadow answers none."""
    since_ms: int = Field(ge=0)

    @model_validator(mode="after")
    def _canary_has_a_share(self) -> "Trial":
        if (self.percent is None) is (self.mode == "canary"):
            raise ValueError("a canary has a percent and a shadow has none")
        return self

    @property
    def shown(self) -> str:
        return f"version {self.version}, {self.mode}" + ("" if self.percent is None else f" of {self.percent:g} %")

    def written(self) -> str:
        """The tag's value."""
        return self.model_dump_json(exclude_none=True)

    def is_trial_of(self, version: object, since_ms: object) -> bool:
        """Does somebody who names these two speak of this trial?"""
        return str(version) == self.version and since_ms == self.since_ms


def read(value: str | None) -> Trial | None:
    """None where there is no candidate. NoCandidate for what is no description of one: serving sees none in it, too."""
    if value is None:
        return None
    try:
        return Trial.model_validate_json(value)
    except ValidationError as wrong:
        raise NoCandidate(
            f"the tag {TAG} cannot be read, so there is no candidate; `python -m pipelines.promote --no-candidate` "
            "removes it"
        ) from wrong
