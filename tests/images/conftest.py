"""Places of a set in a temporary folder."""

from pathlib import Path

import pytest

from lab.docker.images.places import ImagePlaces


@pytest.fixture
def here(tmp_path: Path) -> ImagePlaces:
    return ImagePlaces(tmp_path / "images", "0123456789abcdef")
