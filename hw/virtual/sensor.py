"""From light to an 8-bit picture: illumination, shot and read noise, gamma, JPEG."""

import io
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LUT_LEVELS = 4096
_NOISE_POOL = 1 << 22


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """How one camera sees. Levels are fractions of full scale before gamma."""

    white_level: float = 0.7
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignetting: float = 0.15
    full_well_e: float = 10_000.0
    read_noise_e: float = 6.0
    gamma: float = 2.2
    dust: int = 0
    jpeg_quality: int | None = None

    def drifted(self, rng: np.random.Generator) -> "SensorSettings":
        """Return the same camera under other light: exposure, white balance and vignetting."""
        balance = np.exp(rng.normal(0, 0.04, 3))
        return replace(
            self,
            white_level=float(np.clip(self.white_level * np.exp(rng.normal(0, 0.12)), 0.3, 0.95)),
            white_balance=(float(balance[0]), float(balance[1]), float(balance[2])),
            vignetting=float(rng.uniform(0.0, 2 * self.vignetting)),
        )


class Sensor:
    """One camera of `shape_px`; its dust and noise come from `seed`."""

    def __init__(
        self,
        settings: SensorSettings,
        shape_px: tuple[int, int],
        seed: int,
        noise_pool: int = _NOISE_POOL,
    ) -> None:
        """Noise is a stretch of a pool of so many numbers, 4 bytes each."""
        self.settings = settings
        self._pool = noise_pool
        self._rng = np.random.default_rng([seed, 77])
        illumination = _illumination(settings, shape_px) * _dust(settings, shape_px, self._rng)
        balance = np.asarray(settings.white_balance, np.float32)
        self._white = (
            illumination[None] * (np.float32(settings.white_level) * balance)[:, None, None]
        )
        steps = (np.arange(_LUT_LEVELS) + 0.5) / _LUT_LEVELS
        self._gamma = np.round(255 * steps ** (1 / settings.gamma)).astype(np.uint8)

    def expose(self, transmission: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return H x W x 3 uint8 of a transmission 3 x H x W (float32, 1 = clear)."""
        settings = self.settings
        light = transmission * self._white
        np.maximum(light, 0, out=light)
        # Gaussian shot noise: the full well is thousands of electrons.
        noise = light * np.float32(1 / settings.full_well_e)
        noise += np.float32((settings.read_noise_e / settings.full_well_e) ** 2)
        np.sqrt(noise, out=noise)
        noise *= self._normals(light.size).reshape(light.shape)
        light += noise
        light *= np.float32(_LUT_LEVELS)
        np.clip(light, 0, _LUT_LEVELS - 1, out=light)
        pixels = np.empty((*light.shape[1:], 3), np.uint8)
        for colour in range(3):
            np.take(self._gamma, light[colour].astype(np.uint16), out=pixels[:, :, colour])
        if settings.jpeg_quality is not None:
            pixels = _through_jpeg(pixels, settings.jpeg_quality)
        pixels.setflags(write=False)
        return pixels

    def _normals(self, count: int) -> NDArray[np.float32]:
        """Return a random stretch of one long pool: to draw 10^6 would cost as much as optics."""
        if count >= self._pool:
            return self._rng.standard_normal(count, dtype=np.float32)
        start = int(self._rng.integers(0, self._pool - count))
        return _noise_pool(self._pool)[start : start + count]


@cache
def _noise_pool(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(2026).standard_normal(count, dtype=np.float32)


def _illumination(settings: SensorSettings, shape_px: tuple[int, int]) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, shape_px[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape_px[1], dtype=np.float32)[None, :]
    return np.asarray(1 - np.float32(settings.vignetting) * (y * y + x * x) / 2, np.float32)


def _dust(
    settings: SensorSettings, shape_px: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the fixed shadows of dust near the sensor: they do not move or blur with focus."""
    shade = np.ones(shape_px, np.float32)
    y = np.arange(shape_px[0], dtype=np.float32)[:, None]
    x = np.arange(shape_px[1], dtype=np.float32)[None, :]
    for _ in range(settings.dust):
        cy, cx = rng.uniform(0, 1, 2) * shape_px
        radius_px = rng.uniform(6, 20)
        distance = np.hypot(y - np.float32(cy), x - np.float32(cx)) / np.float32(radius_px)
        shade -= np.float32(rng.uniform(0.01, 0.05)) * (0.5 - 0.5 * np.tanh((distance - 1) * 4))
    return shade


def _through_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return np.array(Image.open(buffer))
