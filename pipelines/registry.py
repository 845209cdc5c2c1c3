"""The registry's side of the hatch: versions, their tags, and which one is Production.

The only module that touches MLflow's stages. MLflow warns that they are deprecated; they work in 3.x, people promote
with them, and the alias `production` is kept in step so that either may go.
"""

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines import trial
from pipelines.errors import UnknownVersion
from pipelines.history import EXTERNAL, Promotion
from pipelines.trial import Trial

__all__ = ["Promotion", "Registry", "Seen", "unless_missing"]

STAGE = "Production"
ALIAS = "production"
HISTORY = "slipway.promotion."
SEEN = "slipway.seen"
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes; the second is its answer for an alias that nobody has set and for a version that is no number."""

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What stage and alias said at the last look, and which of them counted: what differs now was changed since."""

    version: str | None
    stage: str | None
    alias: str | None
    at_ms: int = 0
    """When that was; 0 in a registry that an older Slipway has written."""


class Registry:
    """The versions of one registered model."""

    def __init__(self, client: MlflowClient, model: str) -> None:
        self._client, self.model = client, model

    def get(self, version: str) -> ModelVersion:
        found = unless_missing(lambda: self._client.get_model_version(self.model, version))
        if found is None:
            raise UnknownVersion(f"{self.model} has no version {version} in the registry")
        return found

    def versions(self) -> list[ModelVersion]:
        """Newest first; none when the model is not registered yet."""
        found = self._client.search_model_versions(f"name = '{self.model}'", order_by=["version_number DESC"])
        return list(found)

    def of_run(self, run_id: str) -> ModelVersion | None:
        return next((version for version in self.versions() if version.run_id == run_id), None)

    def production(self) -> ModelVersion | None:
        """The version whose stage or alias says Production; where they disagree, the one that was changed last."""
        staged, aliased = self._staged(), self._aliased()
        if staged is None or aliased is None or staged.version == aliased.version:
            return staged or aliased
        return staged if _stage_counts(staged, aliased, self._seen()) else aliased

    def align(self, version: ModelVersion) -> None:
        """Stage and alias both say that `version` is Production, and no other version's does."""
        with _stages():
            self._client.transition_model_version_stage(
                self.model, version.version, STAGE, archive_existing_versions=True
            )
        self._client.set_registered_model_alias(self.model, ALIAS, version.version)

    def notice_external(self) -> None:
        """Put a promotion on record that somebody made in the MLflow UI, when it is first seen."""
        line = self.unrecorded()
        if line is not None:
            self.record(line)
        self._remember()

    def unrecorded(self) -> Promotion | None:
        """What somebody has moved in the MLflow UI since the last line of the history. Writes nothing."""
        current, history = self.production(), self.history()
        last, version = history[-1] if history else None, None if current is None else current.version
        before = None if last is None else last.version
        if version == before:
            return None
        seen = self._seen() or Seen(None, None, None)
        at_ms, exact = self._moved(current, before, seen)
        since_ms = max(0 if last is None else last.at_ms, seen.at_ms, 0 if current is None else _made_ms(current))
        at_ms = max(at_ms, 0 if last is None else last.at_ms + 1)
        return Promotion(at_ms, version, before, "unknown", "", EXTERNAL, None if exact else min(since_ms, at_ms))

    def create(self, *, source: str, run_id: str, tags: dict[str, str], description: str) -> ModelVersion:
        try:
            self._client.create_registered_model(self.model)
        except MlflowException as exists:
            if exists.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._client.create_model_version(
            self.model, source, run_id=run_id, tags=tags, description=description, model_id=source.rpartition("/")[2]
        )

    def tag(self, version: str, tags: dict[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(self.model, version, name, value)

    def promote(self, promotion: Promotion) -> None:
        """Stage, then alias, then the record; the former Production is archived. May be repeated."""
        version = str(promotion.version)
        self.align(self.get(version))
        self.record(promotion)
        self._remember()
        self.tag(
            version, {"slipway.promoted.by": promotion.who, "slipway.promoted.why": promotion.why or "(none given)"}
        )

    def record(self, promotion: Promotion) -> None:
        """Add a line to the history."""
        self._client.set_registered_model_tag(
            self.model, f"{HISTORY}{promotion.at_ms:015d}", json.dumps(asdict(promotion))
        )

    def history(self) -> list[Promotion]:
        """Oldest first."""
        tags = self._tags()
        lines: list[dict[str, Any]] = [json.loads(tags[name]) for name in sorted(tags) if name.startswith(HISTORY)]
        return [Promotion(**line) for line in lines]

    def candidate(self) -> str | None:
        """What the tag of the candidate says; None without one."""
        return self._tags().get(trial.TAG)

    def try_out(self, candidate: Trial) -> None:
        """Serving reads it and gives the version its share."""
        self._client.set_registered_model_tag(self.model, trial.TAG, candidate.written())

    def end_trial(self) -> None:
        """No version is a candidate then, whatever the tag said."""
        if self.candidate() is not None:
            self._client.delete_registered_model_tag(self.model, trial.TAG)

    def describe(self, version: ModelVersion, text: str) -> None:
        """Replace a version's description, which MLflow shows as markdown on its page; 5,000 characters at most.

        Not for one in stage Production: MLflow stamps it, as if it had been moved there now.
        """
        if _stage(version) != STAGE:
            self._client.update_model_version(self.model, version.version, description=text)

    def _tags(self) -> dict[str, str]:
        found = unless_missing(lambda: self._client.get_registered_model(self.model))
        return {} if found is None else dict(found.tags)

    def _seen(self) -> Seen | None:
        tag = self._tags().get(SEEN)
        return Seen(**json.loads(tag)) if tag else None

    def _remember(self) -> None:
        """What this look has seen: whatever differs at the next one was changed after it."""
        current, staged, aliased = self.production(), self._staged(), self._aliased()
        if current is None and self._seen() is None:
            return
        numbers = (None if found is None else found.version for found in (current, staged, aliased))
        version, stage, alias = numbers
        seen = Seen(version, stage, alias, int(time.time() * 1000))
        self._client.set_registered_model_tag(self.model, SEEN, json.dumps(asdict(seen)))

    def _moved(self, current: ModelVersion | None, before: str | None, seen: Seen) -> tuple[int, bool]:
        """When `current` became Production at the latest, and whether that is the very time.

        An alias leaves no time. MLflow stamps what it moves to a stage, what it archives for it and the registered
        model with one time; an edit of the version later stamps the version alone.
        """
        staged, aliased = self._staged(), self._aliased()
        if current is None or staged is None or staged.version != current.version:
            return int(time.time() * 1000), False
        by_alias = aliased is not None and aliased.version == current.version and seen.alias != aliased.version
        former = None if before is None else unless_missing(lambda: self._client.get_model_version(self.model, before))
        stamps = [_moved_ms(former)] if former is not None and _stage(former) == "Archived" else []
        stamps.append(self._client.get_registered_model(self.model).last_updated_timestamp or 0)
        return _moved_ms(staged), _moved_ms(staged) in stamps and not by_alias

    def _staged(self) -> ModelVersion | None:
        """Of several in stage Production, the one moved there last: not MLflow's choice, the highest number."""
        staged = [version for version in self.versions() if _stage(version) == STAGE]
        return max(staged, key=_moved_ms, default=None)

    def _aliased(self) -> ModelVersion | None:
        return unless_missing(lambda: self._client.get_model_version_by_alias(self.model, ALIAS))


def unless_missing(look: Callable[[], T]) -> T | None:
    """None for what MLflow says is not there; whatever else it says, such as that it is down, rises."""
    try:
        return look()
    except MlflowException as refused:
        if refused.error_code not in MISSING:
            raise
        return None


def _stage_counts(staged: ModelVersion, aliased: ModelVersion, seen: Seen | None) -> bool:
    """Of a stage and an alias that disagree, was the stage changed last? In doubt, yes.

    Versions are compared, not times: an alias has none, and an edited description looks like a moved stage.
    """
    if seen is None or staged.version != seen.stage:
        return True
    return aliased.version == seen.alias and staged.version == seen.version


def _moved_ms(version: ModelVersion) -> int:
    return version.last_updated_timestamp or 0


def _made_ms(version: ModelVersion) -> int:
    return version.creation_timestamp or 0


def _stage(version: ModelVersion) -> str:
    with _stages():
        return str(version.current_stage)


class _stages(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Inside, MLflow's warning that stages are deprecated is not shown; everything else is."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*stage.*")
