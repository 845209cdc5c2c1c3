"""Decide which version the registry calls Production, out of what its stage and its alias say.

Pure: no clock, no I/O. Only `syncer.py` calls it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from serving.protocol import Version, View

ALIAS = "production"
STAGE = "Production"


@dataclass(frozen=True)
class Decision:
    """`version` is what to serve; `disagreements` are sentences for whoever can put the registry right."""

    stage: Version | None
    alias: Version | None
    version: Version | None
    disagreements: tuple[str, ...] = ()


def choose(previous: Decision | None, view: View) -> Decision:
    """Stage or alias, whichever changed last since `previous`; the stage when that cannot be known.

    Of several versions in the stage the one moved there last counts, whatever its number.
    """
    stage = max(view.in_production, key=lambda version: (version.moved_ms, version.number), default=None)
    version = _winner(previous, stage, view.alias)
    return Decision(stage, view.alias, version, tuple(_disagreements(view, stage, version)))


def _winner(previous: Decision | None, stage: Version | None, alias: Version | None) -> Version | None:
    if stage is None or alias is None:
        return stage or alias
    if stage == alias or previous is None:
        return stage
    stage_moved, alias_moved = stage != previous.stage, alias != previous.alias
    if stage_moved or alias_moved:
        return stage if stage_moved else alias
    return alias if previous.version == alias else stage


def _disagreements(view: View, stage: Version | None, version: Version | None) -> Iterator[str]:
    if len(view.in_production) > 1 and stage is not None:
        numbers = ", ".join(str(number) for number in sorted(each.number for each in view.in_production))
        yield f"versions {numbers} are all in stage {STAGE}; {stage.number} was moved there last and counts"
    if stage and view.alias and version and stage != view.alias:
        yield (
            f"stage {STAGE} names version {stage.number}, alias {ALIAS} names version {view.alias.number}; "
            f"{version.number} is served"
        )
    for name in view.similar_aliases:
        yield f"alias {name} does not count; the alias is {ALIAS}"
