"""Make the README's recording and its pictures of the report from one real rehearsal.

    python docs/pictures/record.py

The rehearsal has its own state and its own report folder. Chromium takes the pictures of the
report; without it, only the recording is made. Each picture carries the run's conclusion as text,
which `tests/test_pictures.py` compares with the checklist.

The recording shows paths of this computer: make it from a clone in `/tmp` for a commit.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from firstlight.process import run

PICTURES: Final = Path(__file__).resolve().parent
ROOT: Final = PICTURES.parents[1]
REPORT: Final = ROOT / "reports" / "pictures"
TOOLS: Final = ROOT / ".tools" / "pictures" / "bin"

COMMAND: Final = "./task rehearse"
COLUMNS: Final = 110
ROWS: Final = 28
SPEED: Final = 4
"""How many times faster than the run its recording plays; the README says so."""

FRAME_MS: Final = 100
END_MS: Final = 8000
REHEARSAL_S: Final = 900.0
RENDER_S: Final = 120.0

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SCHEMES: Final = {"dark": 0, "light": 1}
"""Chromium's numbers of the color schemes."""

PAGE_SIZE: Final = (1180, 1305)
"""Up to the end of the validation checklist, in pixels."""


def main() -> int:
    """Make the pictures; return 1 if the rehearsal did not end well."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        cast = Path(folder) / "rehearsal.cast"
        report = rehearse(cast, Path(folder))
        conclusion = str(report["conclusion"]["text"])
        if report["head"]["exit_code"] != 0:
            say(f"cannot make the pictures from this rehearsal: {conclusion}")
            say(f"next      open {REPORT / 'report.html'}")
            return 1
        write_recording(cast)
        if browser is None:
            say(f"skipped the pictures of the report: none of {', '.join(BROWSERS)} is on PATH")
            say("next      install Chromium (Debian: chromium), then run the same command again")
            return 0
        for scheme in SCHEMES:
            write_picture(browser, scheme, conclusion, Path(folder))
    return 0


def rehearse(cast: Path, state: Path) -> dict[str, Any]:
    """Record a rehearsal from scratch, remove its lab, and return its report."""
    shutil.rmtree(REPORT, ignore_errors=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}},
        "XDG_STATE_HOME": str(state),
        "PYTEST_ADDOPTS": f"--report-dir={REPORT.relative_to(ROOT)}",
        "TERM": "xterm-256color",
    }
    words = [str(TOOLS / "asciinema"), "rec", "--quiet", "--overwrite"]
    words += ["--cols", str(COLUMNS), "--rows", str(ROWS)]
    words += ["--command", f"echo '$ {COMMAND}'; {COMMAND}", str(cast)]
    try:
        do(words, environment, REHEARSAL_S)
    finally:
        do([str(ROOT / "task"), "simulated:down"], environment, RENDER_S)
    found: dict[str, Any] = json.loads((REPORT / "report.json").read_text(encoding="utf-8"))
    return dict(found["extra"])


def write_recording(cast: Path) -> None:
    """Render a recording as an animated SVG."""
    faster = cast.with_suffix(".faster")
    faster.write_text(sped_up(cast.read_text(encoding="utf-8")), encoding="utf-8")
    words = [str(TOOLS / "termtosvg-ng"), "render", str(faster), str(PICTURES / "rehearsal.svg")]
    words += ["--template", str(PICTURES / "terminal.svg")]
    words += ["--min-frame-duration", str(FRAME_MS), "--loop-delay", str(END_MS)]
    do(words, os.environ, RENDER_S)


def sped_up(cast: str) -> str:
    """Return a recording in asciicast v2 that plays `SPEED` times as fast."""
    head, *lines = cast.splitlines()
    events = [(moment / SPEED, *rest) for moment, *rest in map(json.loads, lines)]
    return "\n".join([head, *map(json.dumps, events)]) + "\n"


def write_picture(browser: str, scheme: str, conclusion: str, folder: Path) -> None:
    """Take a picture of the report in a color scheme."""
    picture = folder / f"{scheme}.png"
    words = [browser, "--headless", "--disable-gpu", "--hide-scrollbars"]
    words += ["--no-sandbox"] if os.geteuid() == 0 else []
    words += [
        f"--user-data-dir={folder / 'browser'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--window-size={PAGE_SIZE[0]},{PAGE_SIZE[1]}",
        f"--screenshot={picture}",
        (REPORT / "report.html").as_uri(),
    ]
    do(words, os.environ, RENDER_S)
    (PICTURES / f"report-{scheme}.png").write_bytes(described(picture.read_bytes(), conclusion))


def described(png: bytes, text: str) -> bytes:
    """Return a PNG image with a description in its metadata."""
    content = b"tEXtDescription\0" + text.encode("latin-1")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    # The signature and the first chunk, IHDR, have 8 and 25 bytes.
    return png[:33] + chunk + png[33:]


def do(words: list[str], environment: Mapping[str, str], timeout_s: float) -> None:
    """Run a command to its end.

    Raises:
        SystemExit: It failed or did not end in time.
    """
    result = run(words, timeout_s=timeout_s, cwd=ROOT, env=dict(environment))
    if not result.ok:
        lines = "\n  ".join(result.output_tail[-10:])
        raise SystemExit(f"cannot make the pictures: {words[0]} failed\n  {lines}")


def say(line: str) -> None:
    """Write a line for the person who makes the pictures."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
