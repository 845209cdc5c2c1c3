import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decoding.depth import MOST_LEVELS, levels, refuse_deep
from serving.errors import InvalidInput

TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\ab\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\'), inner, max_size=4),
    max_leaves=40,
)


def depth(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(TREES)
def test_the_levels_of_a_text_are_those_of_its_tree(tree: Any) -> None:
    assert levels(json.dumps(tree).encode()) == depth(tree)


@given(st.binary(max_size=200))
def test_whatever_comes_has_some_levels(body: bytes) -> None:
    assert levels(body) >= 0


def test_a_body_may_be_as_deep_as_any_signature_and_no_deeper() -> None:
    refuse_deep(b"[" * MOST_LEVELS + b"]" * MOST_LEVELS)
    refuse_deep(b"[" + b"[1]," * 1000 + b"[1]]")
    refuse_deep(json.dumps("[" * 1000).encode())
    for deep in (b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b"[" * 1_000_000, b'{"a":[],"b":[' * 33):
        with pytest.raises(InvalidInput, match="64 levels"):
            refuse_deep(deep)
