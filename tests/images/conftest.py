"""The paths of an image set in a temporary folder."""

from pathlib import Path

import pytest

from lab.docker.images.paths import ImagePaths


@pytest.fixture
def here(tmp_path: Path) -> ImagePaths:
    return ImagePaths(tmp_path / "images", "0123456789abcdef")
