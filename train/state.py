"""How far a training run is, as figures."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_af.errors import UserError
from edge_af.files import write_atomically

_STATE = "state.json"


@dataclass
class State:
    """How far a run is. Losses are those of validation.

    `epoch` epochs are done, `stage_epoch` of them in stage `stage`; there the loss has not fallen
    below `floor` by enough for `waited` epochs. `history` has one entry of figures an epoch.
    """

    epoch: int = 0
    stage: int = 0
    stage_epoch: int = 0
    waited: int = 0
    floor: float | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def read_state(run: Path) -> State:
    """Return how far a run is; at its beginning if it kept no epoch yet."""
    path = run / _STATE
    if not path.exists():
        return State()
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): begin another run") from error


def write_state(run: Path, state: State) -> None:
    """Write how far a run is, for going on, and its history, for reading."""
    write_json(run / _STATE, asdict(state))
    names = list(dict.fromkeys(name for entry in state.history for name in entry))
    lines = [
        ",".join(("epoch", *names)),
        *(
            ",".join((str(number), *(f"{entry[name]:.6g}" for name in names)))
            for number, entry in enumerate(state.history, 1)
        ),
    ]
    write_atomically(run / "history.csv", ("\n".join(lines) + "\n").encode())


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, whole or not at all. Raises UserError."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
