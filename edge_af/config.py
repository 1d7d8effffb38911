"""An instrument as its owner describes it, read from TOML."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_af.errors import UserError
from edge_af.settings import FocusSettings
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

    soft_low_um: float | None = None
    soft_high_um: float | None = None
    """Without them the travel of the stage is the limit."""
    backlash_um: float = Field(3.0, ge=0, le=1000)
    """An upper bound, until `edge-af calibrate` has measured it."""
    untrusted_low_um: float = Field(UNTRUSTED_WINDOW.low_um, le=0)
    untrusted_high_um: float = Field(UNTRUSTED_WINDOW.high_um, ge=0)
    """Room around the place where trust in the position was lost. Little upwards: there is the
    slide, on most stages."""
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
    reversed: bool = False
    settle_s: float = Field(0.04, ge=0, le=10)
    """What its stage is told of its motor; these are the truth."""


class Config(_Table):
    """All settings of an instrument: a camera and a stage, or a virtual microscope."""

    camera: PicameraSettings | None = None
    stage: Annotated[StageTable, Field(discriminator="kind")] | None = None
    virtual: VirtualTable | None = None
    guard: GuardTable = GuardTable()
    focus: FocusSettings = FocusSettings()
    model: Path | None = None
    """The model that ships, if it is not given."""
    state_folder: Path = Field(default_factory=default_folder)

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


def read_config(path: Path) -> Config:
    """Read an instrument's settings. Raises UserError that names the bad key and the cure."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise UserError(
            f"there is no {path}: describe your instrument there (docs/wiring.md has examples), "
            "or name another file with --config"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    table, names = _resolved(fault["loc"])
    where = ".".join(names)
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(names[-1], table.model_fields, 1)
        known = f"did you mean {near[0]}?" if near else f"known: {', '.join(table.model_fields)}"
        return f"there is no setting {where}; {known}"
    if fault["type"] == "union_tag_not_found":
        return f"{where}.kind is missing"
    if fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        return f"there is no {where}.kind '{context['tag']}'; known: {context['expected_tags']}"
    if fault["type"] == "missing":
        return f"{where} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if not where or isinstance(fault["input"], dict):
        return f"{where}: {message}".removeprefix(": ")
    return f"{where} = {fault['input']!r}: {message[0].lower()}{message[1:]}"


def _resolved(location: tuple[int | str, ...]) -> tuple[type[BaseModel], list[str]]:
    """Return the table that a fault lies in, and its path without the kinds that lead there."""
    table: type[BaseModel] = Config
    names: list[str] = []
    tables = [table]
    for part in map(str, location):
        kinds = [one for one in tables if part in _kinds(one)]
        if kinds and kinds != [table]:
            (table,) = kinds
            continue
        names.append(part)
        field = table.model_fields.get(part)
        tables = _tables_in(field.annotation) if field else []
        if len(tables) == 1:
            (table,) = tables
    return table, names


def _kinds(table: type[BaseModel]) -> tuple[str, ...]:
    kind = table.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _tables_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]
