"""The README's pictures show the checklist of today, and the README says what they show.

`./task docs:pictures` makes them from a rehearsal.
"""

from __future__ import annotations

import importlib.util
import json
import re
import struct
import zlib
from collections.abc import Iterator
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from lab.simulated.description import CAPABILITIES
from tests.test_docs import ROOT, criteria

README = (ROOT / "README.md").read_text()
PICTURES = ROOT / "docs" / "pictures"
REPORTS = ("report-light.png", "report-dark.png")
RECORDING = PICTURES / "rehearsal.svg"


def conclusion() -> str:
    """Return how a rehearsal of the checklist ends if everything that can be verified is met."""
    every = sum(one.number for one in criteria())
    missing = sum(
        one.number for one in criteria() if not set(one.criterion.needs) <= set(CAPABILITIES)
    )
    return (
        f"done: {every - missing} of {every} criteria met; "
        f"{missing} not verifiable on target simulated"
    )


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the type and content of each part of a PNG image, all of them intact."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        part = png[at + 4 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(part),)
        yield part[:4], part[4:]
        at += 12 + size


def description(png: bytes) -> str:
    (text,) = (content for kind, content in chunks(png) if kind == b"tEXt")
    keyword, _, value = text.partition(b"\0")
    assert keyword == b"Description"
    return value.decode("latin-1")


def recorder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", PICTURES / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", REPORTS)
def test_the_picture_of_the_report_has_the_counts_of_the_checklist(name: str) -> None:
    assert description((PICTURES / name).read_bytes()) == conclusion()


def test_the_recording_ends_with_the_counts_of_the_checklist() -> None:
    shown = ["".join(line.itertext()) for line in ET.parse(RECORDING).iter()]

    assert [text for text in shown if conclusion() in text] != []


def test_the_recording_shows_the_command_of_the_readme_and_nothing_of_this_computer() -> None:
    text = RECORDING.read_text()
    command = recorder().COMMAND

    assert f"$ {command}" in text
    assert f"\n{command} " in README
    assert set(re.findall(r"(?<![\w.:/~-])/(\w+)/", text)) <= {"tmp"}


def test_the_readme_says_how_fast_the_recording_plays() -> None:
    assert f"{recorder().SPEED} times as fast" in README


def test_every_picture_of_the_folder_is_in_the_readme() -> None:
    used = set(re.findall(r'(?:src|srcset)="docs/pictures/([^"]+)"', README))
    drawn = {path.name for path in PICTURES.iterdir() if path.suffix in {".svg", ".png"}}

    assert used == drawn - {"terminal.svg"}


@pytest.mark.parametrize("name", ["how-it-works.svg", "rehearsal.svg"])
def test_a_drawing_has_a_title_and_loads_nothing(name: str) -> None:
    text = (PICTURES / name).read_text()
    root = ET.fromstring(text)

    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert re.findall(r"(?:href|src)=\"(?!#)|@import|url\((?!#)|<script", text) == []


def test_a_description_is_added_to_an_image_that_stays_intact() -> None:
    def part(kind: bytes, content: bytes) -> bytes:
        size, check = struct.pack(">I", len(content)), struct.pack(">I", zlib.crc32(kind + content))
        return size + kind + content + check

    head = part(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    rest = part(b"IDAT", zlib.compress(b"\0\0")) + part(b"IEND", b"")

    image = recorder().described(b"\x89PNG\r\n\x1a\n" + head + rest, "done: all")

    assert description(image) == "done: all"
    assert [kind for kind, _ in chunks(image)] == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]


def test_a_recording_is_sped_up_and_otherwise_unchanged() -> None:
    cast = '{"version": 2, "width": 110}\n[2.0, "o", "met"]\n[8.0, "o", "done"]\n'

    head, *events = recorder().sped_up(cast).splitlines()

    assert head == '{"version": 2, "width": 110}'
    assert [json.loads(event) for event in events] == [[0.5, "o", "met"], [2.0, "o", "done"]]
