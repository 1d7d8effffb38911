"""What the API is sent and answers, beside the models of the service."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_FAR_UM = 100_000.0

Place = Annotated[float, Field(ge=-_FAR_UM, le=_FAR_UM)]


def _whole(value: object) -> object:
    """Return 3 for 3.0: in JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FocusAt(_Sent):
    """Where the field lies on the slide, in um; the focus map then says where to start."""

    x_um: Place
    y_um: Place


class MoveTo(_Sent):
    """A counted stage position."""

    to_um: Place


class MoveBy(_Sent):
    """A distance along the stage axis."""

    by_um: Place


class Track(_Sent):
    """Whether to hold the focus against drift."""

    on: bool


class Calibrate(_Sent):
    """On how many fields to measure."""

    fields: Annotated[int, BeforeValidator(_whole)] = Field(3, ge=1, le=20)


class Collect(_Sent):
    """A focal stack: `range_um` to either side of the focus. It is kept in the state folder."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.ome\.tif$")
    range_um: float = Field(13.0, ge=1, lt=100)
    step_um: float = Field(0.5, ge=0.1, le=1)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorAnswer(_Answer):
    """What was wrong, and what to do about it."""

    error: str
    cure: str


class Stopped(_Answer):
    """The motor was told to stop."""

    stopped: bool = True


class Reloaded(_Answer):
    """Whether new settings and model are in use; if not, `reason` says why the old ones stay."""

    reloaded: bool
    reason: str | None = None


class Model(_Answer):
    """The model in use; `name` is None where every focus is a sweep."""

    name: str | None
    um_per_px: float | None
    calibrated: bool


class Health(_Answer):
    """Whether camera, motor thread and API answer."""

    alive: bool


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route may answer beside its result, for the OpenAPI."""
    return {code: {"model": ErrorAnswer, "description": _WHY[code]} for code in codes}


_WHY = {
    401: "no token, or a wrong one (network only)",
    403: "not a name of this machine, or a page of another origin asked (network only)",
    404: "there is no such thing",
    405: "not a method of this path",
    409: "another command runs, or it cannot be done now",
    413: "more was sent than any request needs",
    422: "a value is missing, or makes no sense",
    503: "not now: the reason says why",
}
