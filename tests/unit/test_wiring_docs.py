"""docs/wiring.md, its drawings and its settings say the same, and what the drivers take."""

import importlib
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hw.step_chips import CHIPS, ChipName

DOCS = Path(__file__).parents[2] / "docs"
WIRING = (DOCS / "wiring.md").read_text()
DRAWINGS = sorted((DOCS / "wiring").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"

# The 40-pin header: raspberrypi.com/documentation/computers/raspberry-pi.html#gpio
HEADER = {
    **dict.fromkeys((1, 17), "3.3 V"),
    **dict.fromkeys((2, 4), "5 V"),
    **dict.fromkeys((6, 9, 14, 20, 25, 30, 34, 39), "GND"),
    **{3: "GPIO 2", 5: "GPIO 3", 7: "GPIO 4", 8: "GPIO 14", 10: "GPIO 15", 11: "GPIO 17"},
    **{12: "GPIO 18", 13: "GPIO 27", 15: "GPIO 22", 16: "GPIO 23", 18: "GPIO 24", 19: "GPIO 10"},
    **{21: "GPIO 9", 22: "GPIO 25", 23: "GPIO 11", 24: "GPIO 8", 26: "GPIO 7", 27: "GPIO 0"},
    **{28: "GPIO 1", 29: "GPIO 5", 31: "GPIO 6", 32: "GPIO 12", 33: "GPIO 13", 35: "GPIO 19"},
    **{36: "GPIO 16", 37: "GPIO 26", 38: "GPIO 20", 40: "GPIO 21"},
}


def sections() -> dict[str, str]:
    """Return what the page says under each heading of the second level."""
    _, *parts = re.split(r"^## (.+)\n", WIRING, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def pins_in_table(section: str) -> dict[int, str]:
    """Return header pin -> signal, from the rows `| driver | signal | pin |`."""
    rows = re.findall(r"^\|[^|]+\| ([^|]+?) \| (\d+) \|", section, flags=re.MULTILINE)
    return {int(pin): signal for signal, pin in rows}


def texts(drawing: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(drawing).iter(f"{SVG}text")]


def pins_in_drawing(drawing: Path) -> dict[int, str]:
    labels = [re.fullmatch(r"(.+) · pin (\d+)", text) for text in texts(drawing)]
    return {int(label[2]): label[1] for label in labels if label}


def snippets() -> list[dict[str, Any]]:
    """Return every table of settings that the page shows."""
    blocks = re.findall(r"```toml\n(.*?)```", WIRING, flags=re.DOTALL)
    return [table for block in blocks for table in tomllib.loads(block).values()]


def pins_in_settings(table: dict[str, Any]) -> Iterator[int]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from pins_in_settings(value)
        elif name.endswith("pins"):
            yield from value
        elif name.endswith("pin"):
            yield value


def settings_of(kind: str) -> type[BaseModel]:
    name = "".join(word.title() for word in kind.split("_"))
    return getattr(importlib.import_module(f"hw.{kind}"), f"{name}Settings")


@pytest.mark.parametrize("table", snippets(), ids=lambda table: table["kind"])
def test_settings_are_what_the_driver_takes(table: dict[str, Any]):
    settings = settings_of(table["kind"])(**table)

    assert settings.model_fields_set == set(table)


def test_every_driver_is_shown():
    assert {table["kind"] for table in snippets()} == {
        *("step_dir", "four_phase", "grbl", "sangaboard", "picamera")
    }


@pytest.mark.parametrize(
    ("section", "drawing"),
    [
        ("STEP/DIR driver: A4988, DRV8825, TMC2209", "step-dir.svg"),
        ("28BYJ-48 with ULN2003", "four-phase.svg"),
    ],
)
def test_table_drawing_settings_and_header_agree(section: str, drawing: str):
    text = sections()[section]
    table = pins_in_table(text)

    assert table
    assert table == {pin: HEADER[pin] for pin in table}
    assert pins_in_drawing(DOCS / "wiring" / drawing) == table
    block = re.search(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert block
    wired = {int(signal[5:]) for signal in table.values() if signal.startswith("GPIO")}
    assert set(pins_in_settings(tomllib.loads(block[1])["stage"])) == wired


@pytest.mark.parametrize(("column", "chip"), [(2, "A4988"), (3, "DRV8825"), (4, "TMC2209")])
def test_jumpers_are_given_for_every_microstep_of_a_chip(column: int, chip: ChipName):
    rows = [line.split("|") for line in WIRING.splitlines() if re.match(r"\| \d+ \| ", line)]
    settings = {int(row[1]): row[column].strip() for row in rows if row[column].strip()}

    assert tuple(settings) == CHIPS[chip].microsteps
    assert len(set(settings.values())) == len(settings)


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_a_drawing_says_what_it_shows_to_who_cannot_see_it(drawing: Path):
    root = ET.parse(drawing).getroot()
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")

    assert root.get("role") == "img"
    assert title is not None
    assert desc is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    for pin, signal in pins_in_drawing(drawing).items():
        assert f"pin {pin}" in (desc.text or ""), signal
    assert f"](wiring/{drawing.name})" in WIRING


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_a_drawing_stays_on_its_paper(drawing: Path):
    root = ET.parse(drawing).getroot()
    _, _, width, height = map(float, (root.get("viewBox") or "").split())

    for element in root.iter():
        for name, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            assert 0 <= float(element.get(name, 0)) <= limit


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_marked_pins_are_the_labelled_ones(drawing: Path):
    root = ET.parse(drawing).getroot()
    numbers = [text for text in root.iter(f"{SVG}text") if "used" in (text.get("class") or "")]

    assert {int(number.text or 0) for number in numbers} == set(pins_in_drawing(drawing))


def test_links_lead_somewhere():
    headings = re.findall(r"^##+ (.+)$", WIRING, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    for link in re.findall(r"\]\(([^)]+)\)", WIRING):
        assert link[1:] in anchors if link.startswith("#") else (DOCS / link).exists(), link
