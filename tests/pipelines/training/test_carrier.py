"""A PyTorch network and the scikit-learn perceptron that carries it say the same thing."""

from typing import Any

import numpy as np
import pytest
import torch

from pipelines.settings import Network
from pipelines.training import network
from pipelines.training.carrier import carry
from pipelines.training.network import Epoch, Shape, Split

SMALL = Network(hidden=[7, 5], learning_rate=0.01, batch_size=16, epochs=3, patience=3)
RANDOM = np.random.default_rng(0)


def a_split(features: int, wanted: Any) -> Split:
    return Split(RANDOM.normal(size=(len(wanted), features)), np.asarray(wanted))


def trained(split: Split, shape: Shape) -> network.Trained:
    return network.train((split, split), SMALL, shape, seed=1, on_epoch=lambda _: None)


@pytest.mark.parametrize("classes", [["no", "yes"], [0, 1, 2], [3, 7], [f"kind {index}" for index in range(6)]])
def test_class_probabilities_are_equal(classes: list[str | int]) -> None:
    split = a_split(4, [row % len(classes) for row in range(60)])
    learnt = trained(split, Shape(len(classes)))

    carried = carry(learnt, split, classes=classes)

    rows = RANDOM.normal(size=(200, 4))
    with torch.no_grad():
        expected = torch.softmax(learnt.network.double()(torch.from_numpy(rows)), 1).numpy()
    np.testing.assert_allclose(carried.predict_proba(rows), expected, atol=1e-9)
    assert carried.predict(rows).tolist() == [classes[index] for index in expected.argmax(1)]


def test_convolutions_are_carried_as_the_matrices_they_are() -> None:
    split = a_split(64, [row % 10 for row in range(60)])
    learnt = trained(split, Shape(10, image=(8, 8)))

    carried = carry(learnt, split, classes=list(range(10)))

    assert isinstance(learnt.layers[0][1], torch.nn.Conv2d)  # type: ignore[index] # a Sequential
    assert [matrix.shape for matrix in carried.coefs_] == [(64, 512), (512, 256), (256, 10)]
    rows = RANDOM.normal(size=(50, 64))
    with torch.no_grad():
        expected = torch.softmax(learnt.network.double()(torch.from_numpy(rows)), 1).numpy()
    np.testing.assert_allclose(carried.predict_proba(rows), expected, atol=1e-9)


def test_a_regression_answers_in_the_targets_own_units() -> None:
    split = a_split(3, RANDOM.normal(loc=1000, scale=50, size=80))
    learnt = trained(split, Shape(None))

    carried = carry(learnt, split, classes=None)

    with torch.no_grad():
        raw = learnt.network.double()(torch.from_numpy(split.rows))[:, 0].numpy()
    np.testing.assert_allclose(carried.predict(split.rows), raw * learnt.scale + learnt.centre)
    assert 900 < carried.predict(split.rows).mean() < 1100


def test_a_carried_network_that_differs_is_never_handed_out() -> None:
    split = a_split(4, [row % 3 for row in range(60)])
    learnt = trained(split, Shape(3))
    other = trained(a_split(4, [row % 3 for row in range(60)]), Shape(3))
    mixed = network.Trained(other.layers, learnt.network, 1, 0.0, 1.0)

    with pytest.raises(AssertionError, match="differs from PyTorch's"):
        carry(mixed, split, classes=[0, 1, 2])


def test_no_optimizer_is_left_in_what_is_published() -> None:
    split = a_split(4, [row % 3 for row in range(60)])

    carried = carry(trained(split, Shape(3)), split, classes=[0, 1, 2])

    assert not any("optimizer" in name for name in vars(carried))


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    training, validation = a_split(4, [row % 2 for row in range(40)]), a_split(4, [row % 2 for row in range(40)])
    seen: list[Epoch] = []
    params = Network(hidden=[64, 64], learning_rate=0.01, batch_size=8, epochs=500, patience=5)

    learnt = network.train((training, validation), params, Shape(2), seed=1, on_epoch=seen.append)

    best = min(seen, key=lambda epoch: epoch.validation_loss)
    assert learnt.best_epoch == best.number
    assert len(seen) == best.number + params.patience < params.epochs
    with torch.no_grad():
        output = learnt.network(torch.from_numpy(np.asarray(validation.rows, np.float32)))
    loss = torch.nn.functional.cross_entropy(output, torch.from_numpy(validation.wanted)).item()
    assert loss == pytest.approx(best.validation_loss)


def test_the_same_seed_learns_the_same_weights() -> None:
    split = a_split(4, [row % 3 for row in range(60)])

    first, second = (carry(trained(split, Shape(3)), split, classes=[0, 1, 2]) for _ in range(2))

    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])
