import pytest

from serving.access.scopes import Caller, Scope, grant, grants


def a_caller(*scopes: str) -> Caller:
    return Caller("somebody", grants(scopes))


@pytest.mark.parametrize("text", ["predict", "jobs:iris", "admin", "metrics", "feedback:wine"])
def test_a_scope_reads_back_as_it_was_written(text: str) -> None:
    assert str(grant(text)) == text


@pytest.mark.parametrize("text", ["", "Predict", "root", "predict:", ":iris", "predict "])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"scope|model"):
        grant(text)


def test_a_scope_is_good_for_every_model_or_for_the_one_it_names() -> None:
    everywhere, here = a_caller("predict"), a_caller("predict:iris")

    assert everywhere.may(Scope.PREDICT, "iris")
    assert everywhere.may(Scope.PREDICT, "wine")
    assert here.may(Scope.PREDICT, "iris")
    assert not here.may(Scope.PREDICT, "wine")
    assert not here.may(Scope.PREDICT), "a scope of one model is none of the server"


def test_one_scope_is_not_another() -> None:
    caller = a_caller("predict", "metrics")

    assert not caller.may(Scope.JOBS, "iris")
    assert not caller.may(Scope.ADMIN)


def test_admin_may_everything_and_admin_of_a_model_everything_about_it() -> None:
    assert all(a_caller("admin").may(each, "iris") for each in Scope)
    of_one = a_caller("admin:iris")
    assert all(of_one.may(each, "iris") for each in Scope)
    assert not any(of_one.may(each, "wine") for each in Scope)
    assert not of_one.may(Scope.METRICS)


def test_who_reads_metrics_knows_no_model() -> None:
    assert not a_caller("metrics").knows("iris")
    assert a_caller("jobs:iris").knows("iris")
    assert not a_caller("jobs:iris").knows("wine")
    assert a_caller("predict").knows("wine")
