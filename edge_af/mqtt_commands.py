"""The commands that come by MQTT, and the answers to them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from edge_af.errors import UserError
from edge_af.service.models import Job

_LONGEST_ID = 128


class _Command(BaseModel):
    """Something to be done once. `id` is the sender's own, another for every command."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    id: str = Field(min_length=1, max_length=_LONGEST_ID)


class Focus(_Command):
    """Focus; with the field's place on the slide, start where the focus map expects it."""

    command: Literal["focus"]
    x_um: float | None = None
    y_um: float | None = None


class Move(_Command):
    """Move to a counted stage position, or by a distance."""

    command: Literal["move"]
    to_um: float | None = None
    by_um: float | None = None

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.to_um is None) == (self.by_um is None):
            raise ValueError("give either to_um or by_um")
        return self


class Home(_Command):
    """Run to the end stop; the position is trusted then."""

    command: Literal["home"]


class Track(_Command):
    """Hold the focus against drift, or no more."""

    command: Literal["track"]
    on: bool


class Calibrate(_Command):
    """Measure the axis; before each further field the job waits for `proceed`."""

    command: Literal["calibrate"]
    fields: int = Field(3, ge=1, le=20)


class Proceed(_Command):
    """What a waiting job asked for has been done."""

    command: Literal["proceed"]
    job: str


class Cancel(_Command):
    """End one job, of whoever gave it."""

    command: Literal["cancel"]
    job: str


class Stop(BaseModel):
    """Stop the motor and whatever runs, now."""

    model_config = ConfigDict(frozen=True)

    id: str | None = None


Command = Annotated[
    Focus | Move | Home | Track | Calibrate | Proceed | Cancel, Field(discriminator="command")
]
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


class Answer(BaseModel):
    """What became of a command: its job, if it is one, or the reason why it was refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None
    job: Job | None = None
    error: str | None = None


class BadCommandError(UserError):
    """A command that cannot be understood; `id` is the sender's, where it can be told."""

    def __init__(self, message: str, id: str | None) -> None:
        super().__init__(message)
        self.id = id


def read_command(payload: bytes) -> Command | Stop:
    """Read a command from JSON. Raises BadCommandError.

    Whatever has `"command": "stop"` in it is a stop, also if its id or the rest makes no sense.
    """
    try:
        content = from_json(payload)
    except ValueError as error:
        raise BadCommandError(f"the command is not JSON: {error}", None) from error
    if not isinstance(content, dict):
        raise BadCommandError('a command is a JSON object: {"id": ..., "command": ...}', None)
    id = _id_in(content)
    if content.get("command") == "stop":
        return Stop(id=id)
    try:
        return _COMMAND.validate_python(content)
    except ValidationError as error:
        raise BadCommandError(_said(error), id) from error


def _id_in(content: dict[str, Any]) -> str | None:
    id = content.get("id")
    return id if isinstance(id, str) and len(id) <= _LONGEST_ID else None


def _said(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    kind, name = fault["type"], str(fault["loc"][-1]) if fault["loc"] else ""
    if kind == "union_tag_not_found":
        return "command is missing"
    if kind == "union_tag_invalid":
        context = fault["ctx"]
        return f"there is no command '{context['tag']}'; known: 'stop', {context['expected_tags']}"
    if kind == "extra_forbidden":
        return f"{fault['loc'][0]} has no argument {name}"
    if kind == "missing":
        return f"{name} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"{fault['loc'][0]}: {message}"
    return f"{name} = {fault['input']!r:.40}: {message[0].lower()}{message[1:]}"
