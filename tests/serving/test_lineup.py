from dataclasses import replace

import pytest

from serving.errors import NotReady, UnknownModel
from serving.lineup import Lineup, Served
from tests.fakes import FakeModel, a_version


def test_the_first_model_is_the_default(lineup: Lineup) -> None:
    served = Served(a_version(1), FakeModel())
    lineup.put(replace(lineup.standing("iris"), served=served))

    assert lineup.served() is served


def test_an_unknown_model_is_told_which_are_followed(lineup: Lineup) -> None:
    with pytest.raises(UnknownModel, match="iris, wine"):
        lineup.served("secret-payload")


def test_a_model_without_a_version_says_why(lineup: Lineup) -> None:
    with pytest.raises(NotReady, match="model 'wine' does not answer yet: the registry has not been read yet"):
        lineup.served("wine")


def test_when_the_registry_was_read_is_kept_apart_from_what_answers(lineup: Lineup) -> None:
    served = Served(a_version(1), FakeModel())

    lineup.note_read("iris", 5000, stale=True)
    lineup.put(replace(lineup.standing("iris"), served=served, read_ms=1, stale=False))

    assert lineup.standing("iris").served is served
    assert (lineup.standing("iris").read_ms, lineup.standing("iris").stale) == (5000, True)
    assert lineup.standing("iris").read_seconds_ago(65) == 60
    assert lineup.standing("iris").read_seconds_ago(1) == 0  # the clock was set back
    assert lineup.standing("wine").read_seconds_ago(65) is None


@pytest.mark.parametrize(("rows", "at_once"), [(0, False), (1, True), (4, True), (5, False)])
def test_only_what_was_measured_as_quick_is_asked_at_once(rows: int, at_once: bool) -> None:
    """No rows were not: a host is a call away for those too, and must not be called from the event loop."""
    assert Served(a_version(1), FakeModel(), inline_rows=4).at_once(rows) is at_once


def test_a_model_in_a_host_is_never_asked_at_once() -> None:
    assert not any(Served(a_version(1), FakeModel()).at_once(rows) for rows in range(3))
