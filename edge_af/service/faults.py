"""Every fault by its name, with its cause and a way out."""

from edge_af.errors import EdgeAfError, ModelError, UserError
from edge_af.service.models import Fault
from hw.camera import CameraError, CameraStalled
from hw.errors import HardwareError
from hw.stage import StageError, StageFault

_AGAIN = "the next command connects it again"

# The first that fits counts.
_KNOWN: tuple[tuple[type[BaseException], str, str], ...] = (
    (CameraStalled, "camera-stalled", f"check the camera's cable; {_AGAIN}"),
    (CameraError, "camera-failed", f"check the camera and its settings; {_AGAIN}"),
    (
        StageFault,
        "stage-failed",
        f"check the motor's supply and its cable; {_AGAIN}, and the position is then in doubt",
    ),
    (StageError, "stage-refused", "see the cause, then give another command"),
    (HardwareError, "hardware-failed", f"run `edge-af doctor`; {_AGAIN}"),
    (ModelError, "model-unfit", "name another model in the settings and reload"),
    (UserError, "settings-unfit", "correct the settings (`edge-af config check`) and reload"),
    (EdgeAfError, "command-failed", "see the cause, then give another command"),
)


def fault_of(error: BaseException) -> Fault:
    """Return what a person is told of an error that ended a command, or kept it from beginning."""
    cause = " ".join(str(error).splitlines()) or type(error).__name__
    for kind, name, cure in _KNOWN:
        if isinstance(error, kind):
            return Fault(name=name, cause=cause, cure=cure)
    return Fault(
        name="internal-error",
        cause=f"{type(error).__name__}: {cause}",
        cure=f"report it with what `edge-af logs` says; {_AGAIN}",
    )
