"""How deeply a JSON text is nested, before anybody reads it: parsers and what comes after them walk it by recursion.

Pure. Only for bodies that are not read by a plan, which knows how deep its signature goes.
"""

import re

import numpy as np

from serving.errors import InvalidInput

MOST_LEVELS = 64
"""No signature has as many."""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1


def levels(body: bytes) -> int:
    """0 for what has neither list nor object. Brackets in strings do not count."""
    bare = np.frombuffer(_STRINGS.sub(b"", body), np.uint8)
    return int(np.cumsum(_STEPS[bare], dtype=np.int32).max(initial=0))


def refuse_deep(body: bytes) -> None:
    """InvalidInput."""
    # To count takes no time; most bodies have fewer brackets in all.
    if body.count(b"[") + body.count(b"{") > MOST_LEVELS and levels(body) > MOST_LEVELS:
        raise InvalidInput(f"the body is nested too deeply; {MOST_LEVELS} levels are the most")
