"""The epochs of a recipe, from wherever a run stands to its end."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge_af.errors import UserError
from train import checkpoint
from train.batches import Batches
from train.features import Report
from train.recipes.base import Learns, Optimizer, Pace, Recipe, Stage
from train.run_folder import BEST
from train.state import State, read_state

_WARM_UP_STEPS = 500
_LAST_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Course:
    """What a run learns by. `pretrained`: the network's base has weights worth keeping."""

    recipe: Recipe
    batches: Batches
    validation: Batches
    batch: int
    seed: int
    pretrained: bool

    @property
    def epochs(self) -> int:
        """How many epochs there are at most."""
        return sum(stage.epochs for stage in self.recipe.stages)


def learn(
    course: Course,
    run: Path,
    make_network: Callable[[], keras.Model],
    report: Report,
) -> State:
    """Train to the end of the recipe, from where `run` stands; return the last state.

    After each epoch everything is kept. Raises UserError if a disk is full or the loss is not a
    number; what was kept before stays.
    """
    state = read_state(run)
    if state.finished:
        return state
    network = checkpoint.load(run, state) if state.epoch else make_network()
    while state.stage < len(course.recipe.stages):
        stage = course.recipe.stages[state.stage]
        if state.stage_epoch == 0:
            if state.best_epoch and state.best_epoch < state.epoch:
                network = checkpoint.load_network(run / BEST)
            _begin(network, stage, course)
        _epoch(network, course, state, report)
        if state.best_epoch == state.epoch:
            checkpoint.write_network(network, run / BEST)
        patience = course.recipe.patience
        if state.stage_epoch == stage.epochs or (patience and state.waited >= patience):
            state.stage, state.stage_epoch, state.waited = state.stage + 1, 0, 0
            state.floor = None
        checkpoint.save(run, network, state)
    checkpoint.finish(run, state)
    return state


def _begin(network: keras.Model, stage: Stage, course: Course) -> None:
    """Say which layers learn, and by what."""
    _set_learning(network, stage.learns if course.pretrained else Learns.ALL)
    rated = course.recipe.rated_batch
    rate = stage.learning_rate * (math.sqrt(course.batch / rated) if rated else 1.0)
    pace: Any = rate
    if stage.pace is Pace.COSINE:
        steps = stage.epochs * len(course.batches)
        warm_up = min(_WARM_UP_STEPS, steps // 10)
        pace = keras.optimizers.schedules.CosineDecay(
            rate / 10, steps - warm_up, warmup_target=rate, warmup_steps=warm_up
        )
    if stage.optimizer is Optimizer.ADAMW:
        optimizer = keras.optimizers.AdamW(pace, weight_decay=stage.weight_decay)
    else:
        optimizer = keras.optimizers.Adam(pace)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=["accuracy"])


def _set_learning(network: keras.Model, learns: Learns) -> None:
    share = {Learns.ALL: 1.0, Learns.LAST: _LAST_SHARE, Learns.HEAD: 0.0}[learns]
    for base in network.layers:
        if isinstance(base, keras.Model):
            # Layer by layer: to set a network does not reach those inside it again.
            first = round((1 - share) * len(base.layers))
            for number, layer in enumerate(base.layers):
                layer.trainable = number >= first


def _epoch(network: keras.Model, course: Course, state: State, report: Report) -> None:
    """Train one epoch, and note in `state` how it went."""
    course.batches.start(state.epoch)
    _reseed(network, course.seed, state.epoch)
    steps = len(course.batches)
    done = network.fit(
        course.batches,
        validation_data=course.validation,
        epochs=state.epoch + 1,
        initial_epoch=state.epoch,
        shuffle=False,  # the batches see to it themselves
        verbose=0,
        callbacks=[_Steps(report, _said(state), state.epoch * steps, course.epochs * steps)],
    )
    figures = {name: float(values[-1]) for name, values in done.history.items()}
    if not math.isfinite(figures["loss"]) or not math.isfinite(figures["val_loss"]):
        raise UserError(
            f"the loss is no longer a number after epoch {state.epoch + 1}: train with a lower "
            "--learning-rate"
        )
    state.epoch += 1
    state.stage_epoch += 1
    state.history.append(figures)
    loss = figures["val_loss"]
    if state.best_loss is None or loss < state.best_loss:
        state.best_loss, state.best_epoch = loss, state.epoch
    if state.floor is None or loss < state.floor - course.recipe.min_delta:
        state.floor, state.waited = loss, 0
    else:
        state.waited += 1
    report(_said(state), state.epoch * steps, course.epochs * steps)


def _said(state: State) -> str:
    if not state.history:
        return "epoch 1"
    last = state.history[-1]
    return (
        f"epoch {state.epoch}: loss {last['loss']:.3f}, validation {last['val_loss']:.3f}, "
        f"top-1 {last['val_accuracy']:.1%}"
    )


def _reseed(network: keras.Model, seed: int, epoch: int) -> None:
    """Put what drops units where it stands at the beginning of an epoch of that number."""
    states = [one for one in network.variables if "seed_generator_state" in one.path]
    for place, state in enumerate(states):
        drawn = np.random.default_rng([seed, epoch, 1 + place]).integers(2**31, size=state.shape)
        state.assign(drawn.astype(np.uint32))


class _Steps(keras.callbacks.Callback):
    """Says after each step how far the run is."""

    def __init__(self, report: Report, said: str, done: int, total: int) -> None:
        super().__init__()
        self._report, self._said, self._done, self._total = report, said, done, total

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        self._report(self._said, self._done + batch + 1, self._total)
