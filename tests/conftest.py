"""Small real models, made once by TensorFlow and kept in pytest's cache."""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest
from user_pictures import write_pictures

from convert.pack import pack
from edge_af.card import UNSEALED, Abstention, ModelCard, PixelInput
from edge_af.files import write_atomically
from edge_af.scale import PAPER41_LABELS, DefocusScale


def _made(request: pytest.FixtureRequest, maker: Path, *more: str) -> Path:
    """Return the folder that a script wrote to, once for each version of it and of Keras."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow to make a model: pip install -e '.[convert]'")
    text = maker.read_bytes() + version("keras").encode() + "".join(more).encode()
    key = hashlib.sha256(text).hexdigest()[:12]
    folder = request.config.cache.mkdir(maker.stem) / key
    if not folder.exists():
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [sys.executable, str(maker), str(made), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        try:
            made.rename(folder)  # whole or not at all: another test process may be at it too
        except OSError:
            shutil.rmtree(made)
    return folder


@pytest.fixture(scope="session")
def tiny_models(request: pytest.FixtureRequest) -> Path:
    """The folder that make_tiny_models.py writes: NAME.tflite, and NAME.npz of what Keras says."""
    return _made(request, Path(__file__).with_name("make_tiny_models.py"))


@pytest.fixture(scope="session")
def keras_2_models(request: pytest.FixtureRequest) -> Path:
    """Classifiers of the Keras 2 era, by make_user_models.py."""
    return _made(request, Path(__file__).with_name("make_user_models.py"), "2")


@pytest.fixture(scope="session")
def keras_3_models(request: pytest.FixtureRequest) -> Path:
    """Classifiers of Keras 3, by make_user_models.py."""
    return _made(request, Path(__file__).with_name("make_user_models.py"), "3")


@pytest.fixture(scope="session")
def user_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of pictures that those classifiers know."""
    return write_pictures(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="session")
def tiny_tflite(tiny_models: Path) -> bytes:
    """An int8 .tflite as the converter leaves it: 32 x 32 x 3 pixels to 41 logits, untrained."""
    return (tiny_models / "pixels_int8.tflite").read_bytes()


@pytest.fixture(scope="session")
def tiny_card() -> ModelCard:
    """The card that fits `tiny_tflite`."""
    return ModelCard(
        format=1,
        name="tiny",
        labels=PAPER41_LABELS,
        bins_um=DefocusScale.paper41().bins_um,
        sign_convention="defocus = stage - focus",
        um_per_px=0.35,
        tile_px=32,
        input=PixelInput(kind="pixels", multiply=1 / 127.5, add=-1.0),
        output="logits",
        temperature=1.0,
        objective=None,
        abstention=Abstention(min_content=0.0, max_entropy_nats=3.0, max_novelty=10.0),
        training={"seed": 7},
        metrics={"mae_um": 0.4},
        tool_versions={"keras": "3"},
        sha256=UNSEALED,
    )


@pytest.fixture
def packed_model(tmp_path: Path, tiny_tflite: bytes, tiny_card: ModelCard) -> Path:
    """A model file that is whole: `tiny_tflite` with `tiny_card` in it."""
    path = tmp_path / "tiny.tflite"
    write_atomically(path, pack(tiny_tflite, tiny_card))
    return path
