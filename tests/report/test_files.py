"""A file of the report is replaced whole, whoever else writes it meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.report.files import replace_text

WRITING = "import sys; from pathlib import Path; from firstlight.report.files import replace_text; replace_text(Path(sys.argv[1]), 'theirs')"
KILLED = "import os, signal; from pathlib import Path; Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"


def test_two_that_write_at_once_do_not_get_into_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path, replace = tmp_path / "report.json", Path.replace

    def late(neighbour: Path, target: Path) -> Path:
        subprocess.run([sys.executable, "-c", WRITING, str(path)], check=True, timeout=60)
        assert path.read_text() == "theirs"
        return replace(neighbour, target)

    monkeypatch.setattr(Path, "replace", late)

    replace_text(path, "ours")

    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]


def test_what_one_left_behind_that_was_killed_goes_with_the_next(tmp_path: Path):
    path = tmp_path / "report.json"
    subprocess.run(
        [sys.executable, "-c", f"{KILLED}\n{WRITING}", str(path)], check=False, timeout=60
    )
    left = list(tmp_path.iterdir())

    replace_text(path, "ours")

    assert len(left) == 1
    assert list(tmp_path.iterdir()) == [path]
