"""What can be set about a Pi camera."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hw.exposure import Exposure
from hw.pixel_pitch import Crop, Size, um_per_px

_ColourGain = Annotated[float, Field(ge=0.1, le=32)]


class PicameraSettings(BaseModel):
    """One Pi camera. Raises pydantic.ValidationError for an unknown name or a bad value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["picamera"]
    """A camera on the Pi's ribbon cable."""
    magnification: float = Field(gt=0, le=1000, examples=[20.0])
    """From specimen to sensor, tube lens included."""
    camera: int = Field(0, ge=0, le=9)
    """Its number in `rpicam-hello --list-cameras`."""
    frame_px: Size = Size(1280, 960)
    """Width and height of a frame; the ISP scales the crop to it at no cost to the CPU."""
    sensor_px: Size | None = Field(None, examples=[[2028, 1520]])
    """Width and height of the sensor mode to use; picamera2 chooses if it is not given."""
    crop_px: Crop | None = Field(None, examples=[[1000, 750, 2000, 1500]])
    """Left, top, width and height in native px; if not given, all that the mode sees, in
    the frame's shape."""
    pixel_pitch_um: float | None = Field(None, gt=0, le=100, examples=[1.55])
    """From one native pixel of the sensor to the next; libcamera is asked if it is not given."""
    exposure_us: int | None = Field(None, ge=20, le=1_000_000, examples=[8000])
    """Exposure time; if not given it is settled automatically on connecting, and kept."""
    gain: float | None = Field(None, ge=1, le=100, examples=[1.0])
    """Analogue gain; if not given, as with the exposure."""
    colour_gains: tuple[_ColourGain, _ColourGain] | None = Field(None, examples=[[2.1, 1.6]])
    """Gains of red and blue, 0.1 to 32; if not given, as with the exposure."""
    settle_s: float = Field(5.0, gt=0, le=60)
    """How long automatic exposure and white balance may take."""
    stall_s: float = Field(1.0, ge=0.2, le=60)
    """A camera that gives no frame for so long has stalled, and is opened again."""

    @model_validator(mode="after")
    def _frame_is_possible(self) -> Self:
        for name, size_px in (("frame_px", self.frame_px), ("sensor_px", self.sensor_px)):
            if size_px is not None and (min(size_px) < 64 or any(px % 2 for px in size_px)):
                raise ValueError(f"{name} must be two even numbers from 64, got {[*size_px]}")
        if self.crop_px is not None:
            if min(self.crop_px) < 0 or min(self.crop_px[2:]) < 64:
                raise ValueError(
                    "crop_px must be left and top from 0, then width and height from 64, got "
                    f"{[*self.crop_px]}"
                )
            um_per_px((1, 1), self.crop_px, self.frame_px, self.magnification)
        return self

    @property
    def exposure(self) -> Exposure | None:
        """The exposure, if all of it is set."""
        if self.exposure_us is None or self.gain is None or self.colour_gains is None:
            return None
        return Exposure(self.exposure_us, self.gain, self.colour_gains)
