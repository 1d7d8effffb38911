"""A head of its own for a model, fitted on one instrument, and the file that keeps it.

The head takes the place of the model's last layer. Its file is a card, one line of JSON, and below
it the weights, float32, little-endian. The card's `sha256`, its last field, is that of the whole
file with the 64 digits themselves read as '0', as in a model's file.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue, ValidationError

from edge_af.card import UNSEALED, Abstention, CardPart, ModelCard, first_fault
from edge_af.errors import ModelError
from edge_af.files import write_atomically
from edge_af.model_file import ModelFile

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Positive = Annotated[float, Field(gt=0)]
_Text = Annotated[str, Field(min_length=1)]

_FLOAT = np.dtype("<f4")


class HeadCard(CardPart):
    """What a head says of itself: the model it belongs to, how it was fitted, how well it did.

    `um_per_px` is the pixel size at which it wants its tiles. `metrics` are of stacks that were
    held out of the fit: those of the model's own head begin with `before_`, its own with `after_`.
    """

    format: Literal[1]
    model: _Text
    model_sha256: _Digest
    um_per_px: _Positive
    penultimate: int = Field(ge=1)
    classes: int = Field(ge=2)
    temperature: _Positive
    abstention: Abstention
    training: dict[str, JsonValue]
    metrics: dict[str, float]
    tool_versions: dict[str, str]
    sha256: _Digest = UNSEALED


@dataclass(frozen=True)
class Head:
    """A linear layer on what feeds the model's last one.

    `weights` is float32 (penultimate + 1, classes); the last row is the bias.
    """

    card: HeadCard
    weights: NDArray[np.float32] = field(repr=False)

    def logits(self, penultimate: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits, float32 (n, classes), for the network's `penultimate` output (n, m)."""
        return np.asarray(penultimate @ self.weights[:-1] + self.weights[-1], np.float32)

    def card_with(self, model: ModelFile) -> ModelCard:
        """Return the card of the model with this head on it.

        Raises ModelError if the head was fitted on another model.
        """
        if self.card.model_sha256 != model.card.sha256:
            raise ModelError(
                f"the adapted head was fitted on another model ({self.card.model}, SHA-256 "
                f"{self.card.model_sha256[:12]}...) than {model.path} ({model.card.name}, "
                f"{model.card.sha256[:12]}...): run edge-af adapt again, or edge-af adapt --revert"
            )
        return model.card.model_copy(
            update={
                "um_per_px": self.card.um_per_px,
                "output": "logits",
                "temperature": self.card.temperature,
                "abstention": self.card.abstention,
            }
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a head and check its seal.

        Raises ModelError, in one line that begins with the path, for a file that is missing,
        unreadable, no head, or damaged anywhere.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelError(f"{path}: no such file") from error
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            return cls._parsed(content)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        """Write the head, sealed, whole or not at all. Raises UserError if that cannot be."""
        unsealed = self.card.model_copy(update={"sha256": UNSEALED}).model_dump_json().encode()
        weights = self.weights.astype(_FLOAT).tobytes()
        digest = hashlib.sha256(unsealed + b"\n" + weights).hexdigest()
        write_atomically(path, _with_digits(unsealed, UNSEALED, digest) + b"\n" + weights)

    @classmethod
    def _parsed(cls, content: bytes) -> Self:
        text, newline, weights = content.partition(b"\n")
        if not newline or not text.startswith(b"{"):
            raise ModelError("not an adapted head (edge-af adapt writes them)")
        try:
            card = HeadCard.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise ModelError(first_fault(error, "head's card")) from error
        unsealed = _with_digits(text, card.sha256, UNSEALED)
        shape = card.penultimate + 1, card.classes
        if (
            hashlib.sha256(unsealed + b"\n" + weights).hexdigest() != card.sha256
            or len(weights) != _FLOAT.itemsize * shape[0] * shape[1]
        ):
            raise ModelError(
                "damaged or cut short: its contents do not match the SHA-256 in its card; "
                "run edge-af adapt again"
            )
        return cls(card, np.frombuffer(weights, _FLOAT).reshape(shape).astype(np.float32))


def head_beside(model: Path) -> Path:
    """Return where the head of the model at `model` is kept unless the user says otherwise."""
    return model.with_suffix(".head")


def adapted_head(model: Path, given: Path | None) -> Head | None:
    """Read the head that is given, or else the one beside the model, if there is one.

    Raises ModelError as `Head.read` does.
    """
    path = given or head_beside(model)
    return Head.read(path) if given or path.exists() else None


def _with_digits(text: bytes, old: str, new: str) -> bytes:
    before, _, after = text.rpartition(f'"{old}"'.encode())
    return before + f'"{new}"'.encode() + after
