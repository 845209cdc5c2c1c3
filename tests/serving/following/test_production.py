from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.following.production import Decision, choose
from serving.protocol import Version, View
from tests.fakes import a_version, in_production

V1, V2, V3 = a_version(1, moved_ms=10), a_version(2, moved_ms=20), a_version(3, moved_ms=5)
VERSIONS = st.builds(a_version, st.integers(1, 4), moved_ms=st.integers(0, 5))
VIEWS = st.builds(
    in_production,
    alias=st.none() | VERSIONS,
) | st.lists(VERSIONS, max_size=3, unique_by=lambda version: version.number).flatmap(
    lambda several: st.builds(lambda alias: in_production(*several, alias=alias), st.none() | VERSIONS)
)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([View()], None),
        ([in_production(V1)], 1),
        ([in_production(alias=V2)], 2),
        ([in_production(V1, alias=V2)], 1),  # a cold start: the stage
        ([in_production(V1, alias=V1), in_production(V1, alias=V2)], 2),  # the alias changed last
        ([in_production(V1, alias=V1), in_production(V2, alias=V1)], 2),  # the stage changed last
        ([in_production(V1, alias=V1), in_production(V1, alias=V2), in_production(V1, alias=V2)], 2),  # and it stays
        ([in_production(V1, alias=V1), in_production(V1, alias=V2), in_production(V3, alias=V2)], 3),
        ([in_production(V1, alias=V1), in_production(V2, alias=V3)], 2),  # both at once: the stage
        ([in_production(V1, alias=V2), in_production(V1)], 1),  # the alias was removed
        ([in_production(V1, alias=V2), in_production(alias=V2)], 2),  # the stage was emptied
        ([in_production(V1, alias=V1), View(registered=True)], None),
        ([in_production(V2, V3)], 2),  # moved there last, though 3 is the higher number
    ],
)
def test_whichever_of_stage_and_alias_changed_last_wins(story: list[View], expected: int | None) -> None:
    *_, last = decisions(story)

    assert (last.version and last.version.number) == expected


def decisions(story: list[View]) -> Iterator[Decision]:
    decision = None
    for view in story:
        decision = choose(decision, view)
        yield decision


def test_a_disagreement_names_both_and_what_is_served() -> None:
    decision = choose(None, in_production(V1, alias=V2))

    assert decision.disagreements == (
        "stage Production names version 1, alias production names version 2; 1 is served",
    )


def test_several_versions_in_production_are_reported() -> None:
    decision = choose(None, in_production(V2, V3, alias=V2))

    assert decision.disagreements == ("versions 2, 3 are all in stage Production; 2 was moved there last and counts",)


def test_an_alias_that_differs_in_case_does_not_count_and_is_reported() -> None:
    decision = choose(None, View(registered=True, similar_aliases=("Production",)))

    assert decision.version is None
    assert decision.disagreements == ("alias Production does not count; the alias is production",)


@given(st.lists(VIEWS, min_size=1, max_size=5))
def test_a_decision_is_one_of_the_two_and_stays_while_nothing_changes(story: list[View]) -> None:
    *_, last = decisions(story)

    assert last.version in (last.stage, last.alias)
    assert (last.version is None) == (last.stage is None and last.alias is None)
    assert choose(last, story[-1]) == last


@given(st.lists(VIEWS, min_size=2, max_size=5))
def test_the_only_one_that_changed_wins(story: list[View]) -> None:
    *_, before, last = decisions(story)
    moved: list[Version | None] = []
    if before.stage != last.stage:
        moved.append(last.stage)
    if before.alias != last.alias:
        moved.append(last.alias)

    if len(moved) == 1 and moved[0] is not None:
        assert last.version == moved[0]


@given(VIEWS)
def test_a_disagreement_is_reported_exactly_when_there_is_one(view: View) -> None:
    decision = choose(None, view)
    apart = decision.stage and decision.alias and decision.stage != decision.alias

    assert bool(decision.disagreements) == bool(apart or len(view.in_production) > 1)
