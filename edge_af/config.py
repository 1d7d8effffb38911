"""An instrument as its owner describes it, read from TOML."""

import os
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_af.configuring.environment import from_environment, put_in, variable
from edge_af.configuring.faults import Fault, faults_of
from edge_af.configuring.schema import Names
from edge_af.errors import UserError
from edge_af.mqtt_settings import MqttSettings
from edge_af.server.settings import ServerSettings
from edge_af.settings import FocusSettings, HistorySettings, TrackSettings
from edge_af.state_file import default_folder
from hw.four_phase import FourPhaseSettings
from hw.grbl_settings import GrblSettings
from hw.picamera_settings import PicameraSettings
from hw.sangaboard_settings import SangaboardSettings
from hw.stage import Range
from hw.step_dir import StepDirSettings
from hw.trust import UNTRUSTED_WINDOW

DEFAULT_PATH = Path("/etc/edge-af/config.toml")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


StageTable = StepDirSettings | FourPhaseSettings | GrblSettings | SangaboardSettings


class GuardTable(_Table):
    """What no move may pass; positions are counted ones, in um."""

    soft_low_um: float | None = Field(None, examples=[-500.0])
    """No move goes below this; without it the stage's own travel is the limit."""
    soft_high_um: float | None = Field(None, examples=[500.0])
    """No move goes above this; without it the stage's own travel is the limit."""
    backlash_um: float = Field(3.0, ge=0, le=1000)
    """An upper bound, until `edge-af calibrate` has measured it."""
    untrusted_low_um: float = Field(UNTRUSTED_WINDOW.low_um, le=0)
    """Room below the place where trust in the position was lost."""
    untrusted_high_um: float = Field(UNTRUSTED_WINDOW.high_um, ge=0)
    """Room above it: little, for there is the slide on most stages."""
    uncalibrated_budget_um: float = Field(100.0, gt=0, le=1000)
    """Path that one command may travel before the instrument has been calibrated."""

    @property
    def untrusted_window(self) -> Range:
        """The room around the place where trust was lost."""
        return Range(self.untrusted_low_um, self.untrusted_high_um)


class VirtualTable(_Table):
    """The reference virtual microscope, in place of a camera and a stage."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Another seed gives another field, and another start of the stage."""
    defocus_um: float = Field(6.0, ge=-50, le=50)
    """How far out of focus it starts."""
    step_um: float = Field(0.1, gt=0, le=100)
    """What its stage is told that a step is; this is the truth."""
    reversed: bool = False
    """What its stage is told of its direction; this is the truth."""
    settle_s: float = Field(0.04, ge=0, le=10)
    """What its stage is told of how long it takes to settle; this is the truth."""


class Config(_Table):
    """All settings of an instrument: a camera and a stage, or a virtual microscope."""

    camera: PicameraSettings | None = None
    stage: Annotated[StageTable, Field(discriminator="kind")] | None = None
    virtual: VirtualTable | None = None
    guard: GuardTable = GuardTable()
    focus: FocusSettings = FocusSettings()
    track: TrackSettings = TrackSettings()
    history: HistorySettings = HistorySettings()
    server: ServerSettings = Field(default_factory=ServerSettings)
    mqtt: MqttSettings | None = None
    model: Path | None = Field(None, examples=["/var/lib/edge-af/my.tflite"])
    """The model to use in place of the one that ships."""
    head: Path | None = Field(None, examples=["/var/lib/edge-af/my.head"])
    """The adapted head to use with it, in place of one that lies beside the model."""
    state_folder: Path = Field(default_factory=default_folder, examples=["/var/lib/edge-af"])
    """Where calibration and history are kept; if not given, systemd's state folder for a service,
    and ~/.local/state/edge-af for a person."""

    @model_validator(mode="after")
    def _is_one_instrument(self) -> Self:
        real = [name for name in ("camera", "stage") if getattr(self, name) is not None]
        if self.virtual is not None and real:
            raise ValueError(f"[virtual] takes the place of [{real[0]}]: leave one of them out")
        if self.virtual is None and len(real) < 2:
            missing = next(name for name in ("camera", "stage") if name not in real)
            raise ValueError(
                f"there is no [{missing}]: an instrument has a [camera] and a [stage], or else is "
                "[virtual]"
            )
        return self


class ConfigError(UserError):
    """The settings are not right; `faults` names every fault, one line each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        more = len(faults) - 1
        rest = f" (and {more} more: see `edge-af config check`)" if more else ""
        super().__init__(faults[0] + rest)


class Given(NamedTuple):
    """What was given, and where, with the settings that it makes."""

    config: Config
    in_file: dict[str, Any]
    in_environment: dict[Names, str]


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read an instrument's settings. Raises UserError that names the bad key and the cure.

    Single settings of `environment` come before those of the file.
    """
    return read_given(path, environment).config


def read_given(path: Path, environment: Mapping[str, str] = os.environ) -> Given:
    """Read settings, and keep apart where they come from. Raises as `read_config` does."""
    given, faults = from_environment(Config, environment)
    in_file = _content(path)
    content = deepcopy(in_file)
    put_in(given, content)
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        faults += [_placed(fault, path, given) for fault in faults_of(error, Config)]
        raise ConfigError(faults) from error
    if faults:
        raise ConfigError(faults)
    return Given(config, in_file, given)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"there is no {path}: describe your instrument there (`edge-af config default` prints "
            "one to begin with, and docs/wiring.md has examples), or name another file with "
            "--config"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from error


def _placed(fault: Fault, path: Path, given: Mapping[Names, str]) -> str:
    """Return what a fault says, led by where the values came from."""
    if fault.names in given:
        return f"{variable(fault.names)}: {fault.says}"
    within = [variable(names) for names in given if names[: len(fault.names)] == fault.names]
    return f"{' with '.join([str(path), *within])}: {fault.says}"
