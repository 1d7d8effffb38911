"""What a model has to say about itself; it travels inside the .tflite as JSON."""

import reprlib
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from edge_af.errors import ModelError
from edge_af.scale import DefocusScale, SignConvention
from edge_af.spectrum import CHANNELS

UNSEALED = "0" * 64
"""The `sha256` of a card that is not yet in a file."""

_Text = Annotated[str, Field(min_length=1)]
_Positive = Annotated[float, Field(gt=0)]


class CardPart(BaseModel):
    """What all parts of a card have in common."""

    # Not-a-number and infinity have no JSON, and no meaning in any of these fields.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PixelInput(CardPart):
    """The network looks at RGB pixels: its input is pixel * multiply + add, pixel in 0..255."""

    kind: Literal["pixels"]
    multiply: _Positive
    add: float


class PolarSpectrumInput(CardPart):
    """The network looks at power spectra averaged over rings and sectors.

    Ring edges ascend, in cycles per tile. `mean` and `std` are those of each ring and channel over
    the training tiles, channels side by side; `edge_af.spectrum` says how they are used.
    """

    kind: Literal["polar_spectrum"]
    ring_edges: tuple[float, ...] = Field(min_length=2)
    sectors: int = Field(ge=1)
    mean: tuple[float, ...]
    std: tuple[_Positive, ...]

    @field_validator("ring_edges")
    @classmethod
    def _ascends(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for left, right in pairwise(values):
            if not left < right:
                raise ValueError(f"the values must ascend, {right} follows {left}")
        return values

    @field_validator("mean", "std")
    @classmethod
    def _one_for_each_feature(
        cls, values: tuple[float, ...], info: ValidationInfo
    ) -> tuple[float, ...]:
        wanted = (len(info.data.get("ring_edges", ())) - 1) * CHANNELS
        if wanted > 0 and len(values) != wanted:
            raise ValueError(f"{len(values)} values for {wanted} rings and channels")
        return values


class Objective(CardPart):
    """The objective that the training images were taken through."""

    magnification: _Positive
    numerical_aperture: float = Field(gt=0, le=1.7)


class Abstention(CardPart):
    """When a tile gets no answer; the thresholds are fitted on validation data.

    Refused are a content score below `min_content`, an entropy of the class distribution above
    `max_entropy_nats`, and a novelty score above `max_novelty`.
    """

    min_content: float
    max_entropy_nats: float = Field(ge=0)
    max_novelty: float = Field(ge=0)


class ModelCard(CardPart):
    """Everything that the instrument must know of a model to use it.

    `labels` and `bins_um` are in the order of the network's outputs. `penultimate` is the length of
    the network's second output, what feeds its last layer, on which `edge-af adapt` fits a head;
    None where it has no such output. An `output` in um is one number, the defocus; `temperature` is
    then the variance about it, in um^2. `sha256` seals the file that the card is in: see
    `edge_af.model_file`. `from_json` raises ModelError; the constructor raises pydantic's
    ValidationError.
    """

    format: Literal[1]
    name: _Text
    labels: tuple[_Text, ...]
    bins_um: tuple[tuple[float, float], ...]
    sign_convention: SignConvention
    um_per_px: _Positive
    tile_px: int = Field(ge=1)
    input: Annotated[PixelInput | PolarSpectrumInput, Field(discriminator="kind")]
    output: Literal["logits", "probabilities", "um"]
    temperature: _Positive
    objective: Objective | None
    abstention: Abstention
    training: dict[str, JsonValue]
    metrics: dict[str, float]
    tool_versions: dict[str, str]
    penultimate: Annotated[int, Field(ge=1)] | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        doubles = {label for label in labels if labels.count(label) > 1}
        if doubles:
            raise ValueError(f"label {min(doubles)!r} is given more than once")
        return labels

    @field_validator("bins_um")
    @classmethod
    def _bins_make_a_scale(
        cls, bins_um: tuple[tuple[float, float], ...], info: ValidationInfo
    ) -> tuple[tuple[float, float], ...]:
        DefocusScale(bins_um)
        labels = info.data.get("labels", bins_um)
        if len(labels) != len(bins_um):
            raise ValueError(f"{len(bins_um)} bins for {len(labels)} labels")
        return bins_um

    @property
    def scale(self) -> DefocusScale:
        """The bins as a scale, in output order."""
        return DefocusScale(self.bins_um)

    @property
    def answers(self) -> int:
        """How many numbers the network answers with."""
        return 1 if self.output == "um" else len(self.labels)

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Shape of what the network takes for one tile, without the batch."""
        if isinstance(self.input, PixelInput):
            return (self.tile_px, self.tile_px, 3)
        rings = len(self.input.ring_edges) - 1
        return (rings, self.input.sectors, CHANNELS)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a card. Raises ModelError, naming the first bad field, where it is not one."""
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise ModelError(first_fault(error, "model card")) from error


def first_fault(error: ValidationError, card: str) -> str:
    """Return in one line the first fault that a card read from JSON has; `card` says which."""
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "json_invalid":
        return f"the {card} is not JSON ({fault['msg']})"
    field = ".".join(str(step) for step in fault["loc"])
    got = "" if fault["type"] == "missing" else f", got {reprlib.repr(fault['input'])}"
    return f"the {card}'s field {field!r} is wrong: {fault['msg']}{got}"
