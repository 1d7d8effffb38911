import pytest

keras = pytest.importorskip("keras", reason="needs edge-af[train]")

from train.costs import macs_of_tflite, parameters_of_tflite  # noqa: E402
from train.keras_costs import macs, parameters  # noqa: E402


def test_mobilenetv2_costs_what_its_paper_says():
    """Sandler et al. 2018, table 4: 3.4 million parameters, 300 million multiply-adds."""
    network = keras.applications.MobileNetV2(weights=None)
    assert macs(network) == pytest.approx(300e6, rel=0.01)
    assert parameters(network) == pytest.approx(3.5e6, rel=0.02)  # and those of normalisation


def test_a_nested_network_counts_as_its_layers():
    inputs = keras.Input((9, 9, 3))
    base = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            keras.layers.Conv2D(4, 3, strides=2),  # 4 x 4 places of 27 weights to 4 channels
            keras.layers.DepthwiseConv2D(3, padding="same"),  # 4 x 4 x 9 x 4
        ]
    )
    outputs = keras.layers.Dense(5)(keras.layers.Flatten()(base(inputs)))
    network = keras.Model(inputs, outputs)
    assert macs(network) == 16 * 27 * 4 + 16 * 9 * 4 + 64 * 5
    assert parameters(network) == 27 * 4 + 4 + 9 * 4 + 4 + 64 * 5 + 5


def test_a_tflite_is_counted_from_its_shapes(tiny_tflite):
    """Two convolutions over 16 x 16 places, 3 to 8 and 8 to 16 channels, and 16 to 41 answers."""
    counted = macs_of_tflite(tiny_tflite)
    assert counted == 16 * 16 * 9 * (3 * 8 + 8 * 16) + 16 * 41
    assert type(counted) is int  # those of its schema overflow with a VGG, and are no JSON
    # An average has its two axes.
    weights = 9 * 3 * 8 + 8 + 9 * 8 * 16 + 16 + 16 * 41 + 41
    assert parameters_of_tflite(tiny_tflite) == weights + 2
