"""Check a request's `params` as MLflow does. Only `plan.py` and `fast.py` call it.

Beside the model's own, `predict_proba` asks for probabilities, unless the model has a param of that name itself.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.errors import InvalidInput
from serving.protocol import PREDICT, PREDICT_PROBA, Param

_NATIVE: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "string": (str,),
    "datetime": (),
}
TYPES = frozenset(_NATIVE)


class Params:
    class Wrong(Exception):
        """They do not fit the schema."""

    def __init__(self, schema: tuple[Param, ...]) -> None:
        self._schema = {each.name: each for each in schema}
        self._reserved = PREDICT_PROBA not in self._schema
        self.any = bool(schema)
        """Whether there are defaults to fill in."""

    def read(self, given: object) -> tuple[str, Mapping[str, object]]:
        """The method that is asked for, and the model's own params. Wrong; NotBoolean when it is our own that is."""
        method = PREDICT
        if self._reserved and isinstance(given, dict) and PREDICT_PROBA in given:
            asked = given[PREDICT_PROBA]
            if not isinstance(asked, bool):
                raise Params.NotBoolean
            method = PREDICT_PROBA if asked else PREDICT
        if not self._schema:
            return method, {}
        if not isinstance(given, dict | None):
            raise Params.Wrong
        return method, self._fill(given or {})

    class NotBoolean(InvalidInput, Wrong):
        def __init__(self) -> None:
            super().__init__(f"param '{PREDICT_PROBA}': expected a boolean")

    def _fill(self, given: dict[str, Any]) -> dict[str, object]:
        try:
            known = {name: _fit(self._schema[name], value) for name, value in given.items() if name in self._schema}
        except (ValueError, TypeError, OverflowError) as error:
            raise Params.Wrong from error
        return known | {name: each.default for name, each in self._schema.items() if name not in known}


def _fit(param: Param, value: Any) -> object:
    if not param.is_list:
        return _scalar(param.type, value)
    if not isinstance(value, list) or np.array(value).ndim != 1:
        raise ValueError("not a list")
    return [_scalar(param.type, each) for each in value]


def _scalar(type_name: str, value: Any) -> object:
    if value is None:
        return None
    if type_name == "datetime":
        return _datetime(value)
    natural = _NATIVE[type_name]
    if type(value) not in natural:  # not isinstance: to MLflow, too, a boolean is no integer
        raise TypeError(type_name)
    return natural[0](value)


def _datetime(value: Any) -> object:
    moment = np.datetime64(value).item()
    if isinstance(moment, int):
        raise TypeError("finer than a microsecond")
    return moment
