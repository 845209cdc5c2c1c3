"""Write one estimator into a graph through skl2onnx's seam (scope, operator, container)."""

from typing import Any

import numpy as np
from onnx import numpy_helper
from skl2onnx.operator_converters.common import concatenate_variables

OPSETS = {"": 18, "ai.onnx.ml": 3}
"""What skl2onnx is asked for; it knows no later ai.onnx.ml."""


class Graph:
    """Nodes of one estimator; a value is known by its name."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._container, self._outputs = scope, container, operator.outputs
        self.model = operator.raw_operator
        self.rows: str = (
            concatenate_variables(scope, operator.inputs, container)
            if len(operator.inputs) > 1
            else operator.inputs[0].full_name
        )

    def constant(self, values: Any) -> str:
        """A float64, int64 or string tensor, as numpy has it."""
        name: str = self._scope.get_unique_variable_name("constant")
        array = np.asarray(values)
        array = array.astype(object) if array.dtype.kind in "UO" else array
        self._container.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *values: str, ml: bool = False, **attributes: Any) -> str:
        """A node's one output; `ml` for an operator of ONNX's own ai.onnx.ml."""
        made: str = self._scope.get_unique_variable_name(kind.lower())
        domain = "ai.onnx.ml" if ml else ""
        version = OPSETS[domain]
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(
            kind, list(values), made, op_domain=domain, op_version=version, name=name, **attributes
        )
        return made

    def cast(self, value: str, to: int) -> str:
        return self.add("Cast", value, to=to)

    def gives(self, *values: str) -> None:
        """These are the estimator's outputs."""
        for value, output in zip(values, self._outputs, strict=True):
            self._container.add_node("Identity", [value], output.full_name, op_version=16)

    def classifies(self, probabilities: str) -> None:
        """The outputs of a classifier: the first of the likeliest labels, and the probabilities."""
        classes = self.model.classes_
        labels = self.constant(classes if classes.dtype.kind in "UO" else classes.astype(np.int64))
        at = self.add("ArgMax", probabilities, axis=1, keepdims=0)
        self.gives(self.add("Gather", labels, at), probabilities)

    def two_classes(self, second: str) -> str:
        """[rows, 2] from the probability [rows, 1] of the second."""
        first = self.add("Sub", self.constant(np.float64(1)), second)
        return self.add("Concat", first, second, axis=1)
