"""Train a network on a manifest; a run folder keeps all that says how it came about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_af.errors import UserError
from train import checkpoint, standard
from train.architectures import architecture
from train.architectures.base import Architecture
from train.augment import augment_for
from train.batches import Batches
from train.features import Input, Report, fit_input, prepare
from train.fit_settings import SETTINGS, FitSettings, read_settings, write_settings
from train.learn import Course, learn
from train.manifest import Row, read_rows
from train.reading import common_um_per_px, tile_px_of
from train.recipes import recipe
from train.recipes.base import Recipe
from train.run_folder import (
    BEST,
    CARD,
    HELD_OUT,
    draft_card,
    input_of,
    read_draft,
    save_held_out,
    virtual_objective,
)
from train.state import State, read_state, write_json
from train.targets import hard_targets, soft_targets


@dataclass(frozen=True)
class _Plan:
    """Settings with all that they leave open filled in."""

    settings: FitSettings
    architecture: Architecture
    recipe: Recipe
    batch: int
    spec: Input
    tile_px: int


def fit(settings: FitSettings, run: Path, report: Report, say: Callable[[str], None]) -> State:
    """Train a new network into the folder `run`; the best, by validation loss, is `model.keras`.

    `report` is told what is being done, how far it is and of how much; `say` what a user should
    know of how the network begins. Raises UserError for data,
    names or files that do not serve, and for a run folder that holds a run.
    """
    architecture(settings.architecture), recipe(settings.recipe)  # a wrong name is told first
    if (run / SETTINGS).exists():
        raise UserError(f"{run} holds a run already: go on with --resume, or give another folder")
    rows, rows_v = _read_both(settings)
    plan = _plan(settings, rows)
    say(_beginning(plan))
    x, x_v = _features(plan, report)
    card = draft_card(
        plan.architecture.name,
        plan.spec,
        plan.tile_px,
        common_um_per_px(rows),
        _about(plan, rows),
    )
    if all(row.source.startswith("virtual:") for row in rows):
        card["objective"] = virtual_objective()
    network = _first_network(plan, x.shape[1:])
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / CARD, card)
    save_held_out(run / HELD_OUT, settings.watched[0].parent, rows_v, x_v)
    # Written last: from here on there is something to go on with.
    write_settings(run, settings)
    return _learn(plan, run, (rows, x), (rows_v, x_v), lambda: network, report)


def resume(run: Path, report: Report) -> State:
    """Go on with a run that was stopped, however it was; return at once if it had finished.

    Raises UserError if there is no run, or its data are no longer what they were.
    """
    settings, state = read_settings(run), read_state(run)
    if state.finished:
        return state
    rows, rows_v = _read_both(settings)
    plan = _plan(settings, rows, input_of(read_draft(run)))
    x, x_v = _features(plan, report)
    first = partial(_first_network, plan, x.shape[1:])
    return _learn(plan, run, (rows, x), (rows_v, x_v), first, report)


def _read_both(settings: FitSettings) -> tuple[list[Row], list[Row]]:
    rows, rows_v = read_rows(settings.data, settings.train_split), read_rows(*settings.watched)
    shared = {row.field for row in rows} & {row.field for row in rows_v}
    if shared:
        raise UserError(f"field {min(shared)} is in both training and validation: split by field")
    return rows, rows_v


def _plan(settings: FitSettings, rows: Sequence[Row], spec: Input | None = None) -> _Plan:
    """Fill in what the settings leave open; `spec` is the run's own input if it has one."""
    chosen = recipe(settings.recipe)
    tile_px = tile_px_of(settings.data.parent, rows)
    if settings.base is not None:
        card = read_draft(_folder_of(settings.base))
        if card["tile_px"] != tile_px:
            raise UserError(
                f"{settings.base} looks at tiles of {card['tile_px']} px, those of "
                f"{settings.data} have {tile_px} px: import them with --tile-px {card['tile_px']}"
            )
        settings = replace(settings, architecture=card["name"])
        spec = input_of(card)
    network = architecture(settings.architecture)
    if settings.weights is not None and not network.takes_weights:
        raise UserError(f"{network.name} has no base that --weights could start from")
    if settings.epochs is not None:
        chosen = _with_epochs(chosen, settings.epochs)
    if settings.learning_rate is not None:
        chosen = _with_rate(chosen, settings.learning_rate)
    if spec is None:
        spec = fit_input(network.input, settings.data.parent, rows, tile_px)
    batch = settings.batch or min(network.batch, chosen.rated_batch or network.batch)
    return _Plan(settings, network, chosen, batch, spec, tile_px)


def _with_epochs(chosen: Recipe, epochs: int) -> Recipe:
    """Return the recipe with that many epochs in all, each stage keeping its share."""
    if epochs < len(chosen.stages):
        raise UserError(
            f"the recipe {chosen.name} has {len(chosen.stages)} stages: give it at least as many "
            f"epochs, not {epochs}"
        )
    planned = sum(stage.epochs for stage in chosen.stages)
    shares = [max(1, round(epochs * stage.epochs / planned)) for stage in chosen.stages]
    shares[0] += epochs - sum(shares)
    stages = zip(chosen.stages, shares, strict=True)
    return replace(chosen, stages=tuple(replace(stage, epochs=share) for stage, share in stages))


def _with_rate(chosen: Recipe, rate: float) -> Recipe:
    """Return the recipe with that learning rate in its first stage, the others in proportion."""
    ratio = rate / chosen.stages[0].learning_rate
    stages = (replace(one, learning_rate=one.learning_rate * ratio) for one in chosen.stages)
    return replace(chosen, stages=tuple(stages), rated_batch=None)


def _features(plan: _Plan, report: Report) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    settings = plan.settings
    learned = settings.data, settings.train_split
    x, x_v = (
        prepare(plan.spec, plan.tile_px, manifest, split, report)
        for manifest, split in (learned, settings.watched)
    )
    return x, x_v


def _first_network(plan: _Plan, shape: tuple[int, ...]) -> keras.Model:
    """Return the network that a run begins with; the same each time it is asked for."""
    keras.utils.set_random_seed(plan.settings.seed)
    if plan.settings.base is not None:
        return checkpoint.load_network(_network_of(plan.settings.base))
    height, width, channels = shape
    classes = len(standard.SCALE.bins_um)
    return plan.architecture.build((height, width, channels), classes, plan.settings.weights)


def _learn(
    plan: _Plan,
    run: Path,
    learned: tuple[Sequence[Row], NDArray[np.uint8]],
    watched: tuple[Sequence[Row], NDArray[np.uint8]],
    first_network: Callable[[], keras.Model],
    report: Report,
) -> State:
    targets = soft_targets if plan.recipe.soft_targets else hard_targets
    seed = plan.settings.seed
    augment = augment_for(plan.architecture.input, plan.recipe.augmentation)
    course = Course(
        plan.recipe,
        Batches(learned[1], targets(standard.SCALE, learned[0]), plan.batch, augment, seed),
        Batches(watched[1], targets(standard.SCALE, watched[0]), 2 * plan.batch),
        plan.batch,
        seed,
        pretrained=plan.settings.weights is not None or plan.settings.base is not None,
    )
    return learn(course, run, first_network, report)


def _beginning(plan: _Plan) -> str:
    """Say where the network begins, and which of its layers learn."""
    name, settings = plan.architecture.name, plan.settings
    if settings.base is not None:
        return f"{name} goes on from {settings.base}"
    if settings.weights is not None:
        return f"{name} starts from the weights in {settings.weights}"
    text = f"{name} starts from random numbers"
    if plan.architecture.takes_weights:
        text += ": without --weights no layer is worth freezing, and all learn from the first epoch"
    return text


def _folder_of(base: Path) -> Path:
    return base if base.is_dir() else base.parent


def _network_of(base: Path) -> Path:
    return base / BEST if base.is_dir() else base


def _about(plan: _Plan, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the card says of how the network was trained."""
    settings = plan.settings
    return {
        "recipe": plan.recipe.name,
        "epochs": sum(stage.epochs for stage in plan.recipe.stages),
        "batch": plan.batch,
        "learning_rate": plan.recipe.stages[0].learning_rate,
        "seed": settings.seed,
        "data": settings.data.stem,
        "sources": sorted({row.source for row in rows})[:20],
        "tiles": len(rows),
        "specimens": len({row.field for row in rows}),
        "validation": settings.watched[0].stem,
        "weights": settings.weights.name if settings.weights else None,
        "from": settings.base.name if settings.base else None,
        "keras_backend": keras.backend.backend(),
    }
