"""Read the tag of a registered model that names a candidate beside Production.

Pure: no clock, no I/O. `pipelines.promote` writes the tag, and people may, in the MLflow UI:
`{"version": "7", "mode": "canary", "percent": 10, "since_ms": 1763880000000}`.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from serving.protocol import Mode, Trial, Version, View

TAG = "slipway.candidate"


class _Tag(msgspec.Struct):
    version: int | str
    mode: Mode
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    """Needed by a canary."""
    since_ms: int = 0
    """Who writes the tag by hand may leave it out; a second trial of the same version then needs one."""


_decode = msgspec.json.Decoder(_Tag).decode


def read(text: str | None, versions: Mapping[int, Version]) -> tuple[Trial | None, str | None]:
    """The trial that `text` asks for, or a sentence why there is none. `versions`: those of the model, by number."""
    if not text:
        return None, None
    try:
        tag = _decode(text)
    except msgspec.MsgspecError as error:
        return None, f"tag {TAG} does not count: {error}"
    if tag.mode == "canary" and tag.percent is None:
        return None, f"tag {TAG} does not count: a canary needs a percent"
    version = versions.get(_number(tag.version))
    if version is None:
        return None, f"tag {TAG} does not count: the model has no version of that number"
    return Trial(version, tag.mode, tag.percent or 0.0, tag.since_ms), None


def beside(view: View, production: Version | None) -> tuple[Trial | None, tuple[str, ...]]:
    """The trial to hold while `production` answers, and sentences for whoever can put the registry right."""
    trial = view.trial
    if trial is None:
        return None, () if view.trial_fault is None else (view.trial_fault,)
    if production is None:
        return None, (f"version {trial.version.number} is a candidate, and nothing is Production beside it",)
    if trial.version == production:
        return None, (f"version {trial.version.number} is Production and a candidate; the tag {TAG} does not count",)
    return trial, ()


def _number(said: int | str) -> int:
    """0, which no version has, for what is none."""
    text = str(said).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
