"""Carry a PyTorch network as scikit-learn's own multilayer perceptron, weight for weight.

So every candidate answers alike: the same columns in, the same labels out, no PyTorch where it is served and no pickle
in its file. Affine layers with ReLU between them can be carried, convolutions included: a convolution is an affine
map, and is written out as its matrix.
"""

import copy
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from pipelines.training.network import Split, Trained

Floats = NDArray[np.float64]
ROUNDING = 1e-9
"""Both sides are computed in float64, so what remains is the order of the additions."""


def carry(trained: Trained, sample: Split, *, classes: list[str | int] | None) -> MLPClassifier | MLPRegressor:
    """A fitted perceptron that computes what `trained` does; `sample` needs a row of every class.

    AssertionError when the two differ by more than rounding on the sample.
    """
    matrices = _matrices(trained.layers, sample.rows.shape[1])
    last, bias = matrices[-1]
    if classes is None:
        matrices[-1] = last * trained.scale, bias * trained.scale + trained.centre
    elif len(classes) == 2:  # scikit-learn has one output for two classes: sigmoid(b - a) is softmax([a, b])[1]
        matrices[-1] = last[:, 1:] - last[:, :1], bias[1:] - bias[:1]
    kind = MLPRegressor if classes is None else MLPClassifier
    widths = tuple(matrix.shape[1] for matrix, _ in matrices[:-1])
    # One step of lbfgs lets scikit-learn itself set up everything but the weights, and leaves no optimizer behind.
    carrier = kind(hidden_layer_sizes=widths, activation="relu", solver="lbfgs", max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        carrier.fit(sample.rows, sample.wanted if classes is None else np.asarray(classes)[sample.wanted])
    carrier.coefs_ = [matrix for matrix, _ in matrices]
    carrier.intercepts_ = [bias for _, bias in matrices]
    _check(carrier, trained, sample.rows)
    return carrier


def _matrices(layers: list[nn.Module], features: int) -> list[tuple[Floats, Floats]]:
    """Matrix [in, out] and bias [out] of each affine layer: what it makes of every unit vector, and of zero."""
    matrices = []
    with torch.no_grad():
        for layer in layers:
            exact = copy.deepcopy(layer).double()
            bias = exact(torch.zeros(1, features, dtype=torch.float64))
            matrix = exact(torch.eye(features, dtype=torch.float64)) - bias
            matrices.append((matrix.numpy(), bias[0].numpy()))
            features = matrix.shape[1]
    return matrices


def _check(carrier: MLPClassifier | MLPRegressor, trained: Trained, rows: Floats) -> None:
    with torch.no_grad():
        output = copy.deepcopy(trained.network).double()(torch.from_numpy(np.asarray(rows, np.float64)))
    if isinstance(carrier, MLPRegressor):
        difference = np.abs(carrier.predict(rows) - (output[:, 0].numpy() * trained.scale + trained.centre)).max()
        difference /= max(1.0, abs(trained.centre), trained.scale)
    else:
        difference = np.abs(carrier.predict_proba(rows) - torch.softmax(output, 1).numpy()).max()
    # A mistake of ours, not of the data: nothing that differs may be published under PyTorch's name.
    assert difference <= ROUNDING, f"the carried network differs from PyTorch's by {difference}"  # noqa: S101
