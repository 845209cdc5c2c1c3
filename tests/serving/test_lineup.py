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
