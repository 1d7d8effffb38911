"""Batches of features and targets, the same in every epoch of that number, whoever asks."""

import math

import keras
import numpy as np
from numpy.typing import NDArray

from train.augment import Augment


class Batches(keras.utils.PyDataset):
    """Batches of features with their targets.

    With `augment`, for training: shuffled anew each epoch, and augmented. What comes out depends on
    the seed, the epoch and the batch's number alone, so that a run that was killed goes on as it
    would have.
    """

    def __init__(
        self,
        x: NDArray[np.uint8],
        y: NDArray[np.float32],
        batch: int,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._x, self._y, self._batch = x, y, batch
        self._augment, self._seed = augment, seed
        self.start(0)

    def start(self, epoch: int) -> None:
        """Begin an epoch."""
        self._epoch = epoch
        self._order = np.arange(len(self._x))
        if self._augment is not None:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._x))

    def __len__(self) -> int:
        return math.ceil(len(self._x) / self._batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        x, y = self._x[chosen], self._y[chosen]
        if self._augment is None:
            return x.astype(np.float32), y
        return self._augment(x, np.random.default_rng([self._seed, self._epoch, 1 + index])), y
