"""The hidden truth of a virtual microscope, for tests and benchmarks and nothing else."""

from hw.clock import Clock
from hw.virtual.microscope import VirtualMicroscope


class Truth:
    """What no driver can know."""

    def __init__(self, microscope: VirtualMicroscope, clock: Clock) -> None:
        self._scene = microscope.scene
        self._clock = clock

    @property
    def defocus_um(self) -> float:
        """True distance of the axis from focus, now."""
        return float(self._scene.defocus_um(self._clock.now_s()))

    @property
    def motor_um(self) -> float:
        """Where the motor stands, on the scale of a stage that is told the truth of its steps."""
        return self._scene.mechanics.motor_um

    @property
    def crashes(self) -> int:
        """How often the axis was driven onto a hard stop."""
        return self._scene.mechanics.crashes

    @property
    def missed_steps(self) -> int:
        """Steps that were sent and not made."""
        return self._scene.mechanics.missed_steps

    def miss_steps(self, probability: float) -> None:
        """From now on, have the motor miss each step with some probability."""
        mechanics = self._scene.mechanics
        mechanics.settings = mechanics.settings.model_copy(
            update={"missed_step_probability": probability}
        )

    @property
    def content(self) -> float:
        """How much there is in the field: standard deviation of its green transmission."""
        specimen = self._scene.specimen
        return specimen.area(0, 0, *specimen.shape_px).content

    @property
    def empty(self) -> bool:
        """Whether there is nothing in the field to focus on."""
        return self._scene.specimen.empty
