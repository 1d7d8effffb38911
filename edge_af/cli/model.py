"""`edge-af model show`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json

if TYPE_CHECKING:
    from edge_af.card import ModelCard


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .tflite.")],
    as_json: Json = False,
) -> None:
    """Show a model's card, once the file proves whole and the runtime takes it."""
    from edge_af.cli.figures import print_figures, print_json, reader_console
    from edge_af.cli.models import tried_model

    card = tried_model(file).card
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    console = reader_console()
    print_figures(console, card.name, _figures(card))
    for title, part in (
        ("Training", card.training),
        ("Metrics", card.metrics),
        ("Made with", card.tool_versions),
    ):
        print_figures(console, title, part)


def _figures(card: "ModelCard") -> dict[str, object]:
    span = card.scale.range
    widths_um = [high - low for low, high in card.bins_um]
    objective, limits = card.objective, card.abstention
    features = " x ".join(str(extent) for extent in card.feature_shape)
    return {
        "classes": f"{len(card.labels)}, {card.labels[0]} ... {card.labels[-1]}",
        "scale": f"{span.low_um:g} um to {span.high_um:g} um, bins of "
        f"{min(widths_um):.3g} um to {max(widths_um):.3g} um",
        "sign": card.sign_convention,
        "pixel": f"{card.um_per_px:g} um",
        "tile": f"{card.tile_px} px, {card.tile_px * card.um_per_px:.4g} um",
        "input": f"{card.input.kind}, {features}",
        "output": card.output,
        "temperature": card.temperature,
        "objective": "not stated"
        if objective is None
        else f"{objective.magnification:g}x / {objective.numerical_aperture:g}",
        "abstains": f"content below {limits.min_content:g}, entropy above "
        f"{limits.max_entropy_nats:g} nats, novelty above {limits.max_novelty:g}",
        "sha256": card.sha256,
    }
