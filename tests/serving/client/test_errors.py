"""The client's errors are those that serving answers with."""

import inspect

from serving import errors as theirs
from serving.client import errors
from serving.client.errors import ClientError, ServerFailed, Source, kind_of

NEVER_MET = theirs.NotAuthentic, theirs.FollowFailed, theirs.ServingError
"""By a caller that predicts: of webhooks, of following the registry, and the tree's root."""


def kinds(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(kinds(each) for each in root.__subclasses__()))


def test_every_error_that_a_caller_may_meet_has_a_kind_of_the_same_name_and_code() -> None:
    met = [
        kind
        for kind in kinds(theirs.ServingError)
        if kind not in NEVER_MET and not issubclass(kind, theirs.FollowFailed) and kind.__module__ == theirs.__name__
    ]

    assert len(met) > 10
    for kind in met:
        assert issubclass(kind, theirs.ServingError)
        found = kind_of(kind.code, ServerFailed)
        assert (found.__name__, found.code) == (kind.__name__, kind.code)
        (parent,) = kind.__bases__
        assert parent is theirs.ServingError or found.__base__ is kind_of(parent.code, ServerFailed)  # type: ignore[attr-defined]  # checked above


def test_every_error_is_in_the_tree_and_exported() -> None:
    import serving.client

    named = {each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)}

    assert named == kinds(ClientError)
    assert {each.__name__ for each in named} <= set(serving.client.__all__)
    assert all(each.__name__ in (errors.__doc__ or "") for each in named)


def test_an_error_says_the_reason_the_code_and_the_request() -> None:
    error = errors.InvalidInput("column 'x' is missing", source=Source("iris", "7", "abc"), row=3)

    assert str(error) == "row 3: column 'x' is missing (invalid-input, request abc)"
    assert (error.model, error.version, error.request_id) == ("iris", "7", "abc")
    assert kind_of("something-new", errors.CallerError)("no", code="something-new").code == "something-new"
