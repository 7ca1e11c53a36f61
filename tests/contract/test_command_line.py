"""`python -m lab.contract capture`: what is chosen badly is refused before anything is started."""

from __future__ import annotations

import pytest

from lab.contract.__main__ import main
from lab.docker.settings import SUBNET_VARIABLE


@pytest.mark.parametrize("subnet", ["nonsense", "10.5.0.0/30", "8.8.8.0/24"])
def test_a_subnet_that_makes_no_sense_is_refused(
    subnet: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(SUBNET_VARIABLE, subnet)

    code = main(["capture"])

    assert code == 1
    assert capsys.readouterr().err.startswith("cannot use ")
