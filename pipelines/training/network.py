"""Train a small network with PyTorch: early stopping, a loss an epoch. Arrays in, fitted layers out; knows no MLflow.

`carrier.py` makes the result into the model that is published.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipelines.settings import Network


@dataclass(frozen=True)
class Split:
    """Pre-processed rows [n, features]; `wanted` holds class indices (int64) or, for regression, values."""

    rows: NDArray[np.float64]
    wanted: NDArray[Any]


@dataclass(frozen=True)
class Shape:
    """What the network must look like from outside."""

    classes: int | None
    """None: one value, a regression."""
    image: tuple[int, int] | None = None
    """Height and width where the features are pixels; the first layers are convolutions then."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows; `number` counts from 1, losses are means a row."""

    number: int
    training_loss: float
    validation_loss: float


OnEpoch = Callable[[Epoch], object]


@dataclass(frozen=True)
class Trained:
    """`layers` are affine, with ReLU between them; `network` is the same thing as one module."""

    layers: list[nn.Module]
    network: nn.Module
    best_epoch: int
    centre: float
    scale: float
    """A regression learns (value - centre) / scale; with classes they are 0 and 1."""


def train(data: tuple[Split, Split], params: Network, shape: Shape, *, seed: int, on_epoch: OnEpoch) -> Trained:
    """Learn from the first split until the loss on the second has not fallen for `patience` epochs.

    Keeps the weights of the best epoch.
    """
    training, _ = data
    features, outputs = training.rows.shape[1], shape.classes or 1
    centre, scale = (
        (0.0, 1.0) if shape.classes else (training.wanted.mean().item(), training.wanted.std().item() or 1.0)
    )
    torch.set_num_threads(1)  # a batch is too small to share; waiting for the other threads costs ten times more
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = _convolutions(shape.image, outputs) if shape.image else _dense([features, *params.hidden, outputs])
        network = nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])
        first, second = (_tensors(split, shape, centre=centre, scale=scale) for split in data)
        best_epoch = _learn(network, first, second, params, on_epoch)
    return Trained(layers, network, best_epoch, centre, scale)


def _dense(widths: list[int]) -> list[nn.Module]:
    return [nn.Linear(width, following) for width, following in pairwise(widths)]


def _convolutions(image: tuple[int, int], outputs: int) -> list[nn.Module]:
    """Two 3 by 3 convolutions (the second halves the picture) and a dense layer; each takes and gives flat rows."""
    height, width = image
    halved = ((height + 1) // 2) * ((width + 1) // 2)
    return [
        nn.Sequential(nn.Unflatten(1, (1, height, width)), nn.Conv2d(1, 8, 3, padding=1), nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (8, height, width)), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.Flatten()),
        nn.Linear(16 * halved, outputs),
    ]


def _tensors(split: Split, shape: Shape, *, centre: float, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.from_numpy(np.asarray(split.rows, np.float32))
    if shape.classes:
        return rows, torch.from_numpy(np.asarray(split.wanted, np.int64))
    return rows, torch.from_numpy(np.asarray((split.wanted - centre) / scale, np.float32)).reshape(-1, 1)


def _learn(
    network: nn.Module,
    training: tuple[torch.Tensor, torch.Tensor],
    validation: tuple[torch.Tensor, torch.Tensor],
    params: Network,
    on_epoch: OnEpoch,
) -> int:
    """Leaves the best weights in `network`; answers the epoch they are from."""
    loss = nn.CrossEntropyLoss() if training[1].dtype == torch.int64 else nn.MSELoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=params.learning_rate)
    best_loss, best_epoch, best_weights = float("inf"), 0, copy.deepcopy(network.state_dict())
    for number in range(1, params.epochs + 1):
        training_loss = _pass(network, loss, optimizer, training, params.batch_size)
        with torch.no_grad():
            validation_loss: float = loss(network(validation[0]), validation[1]).item()
        on_epoch(Epoch(number, training_loss, validation_loss))
        if validation_loss < best_loss:
            best_loss, best_epoch, best_weights = validation_loss, number, copy.deepcopy(network.state_dict())
        elif number - best_epoch >= params.patience:
            break
    network.load_state_dict(best_weights)
    return best_epoch


def _pass(
    network: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: tuple[torch.Tensor, torch.Tensor],
    batch_size: int,
) -> float:
    rows, wanted = training
    total = 0.0
    for batch in torch.split(torch.randperm(len(rows)), batch_size):
        optimizer.zero_grad()
        error = loss(network(rows[batch]), wanted[batch])
        error.backward()
        optimizer.step()
        total += error.item() * len(batch)
    return total / len(rows)
