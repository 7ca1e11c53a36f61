"""Where images and charts come from: their own registries, or the mirror that `./task lab:images` filled."""

from __future__ import annotations

import urllib.error
import urllib.request

from firstlight.errors import TargetError
from lab.docker.settings import IMAGES_VARIABLE, Settings

PROBES = ("https://registry.k8s.io/v2/", "https://ghcr.io/v2/", "https://quay.io/v2/")
"""Registries without which no machine gets far: Kubernetes', Talos' and Cilium's."""

_PROBE_S = 5.0


def is_offline(settings: Settings) -> bool:
    """Whether images come from the lab's own mirror; found out by asking the registries, where nobody said.

    Raises:
        TargetError: The registries were asked for, and do not answer.
    """
    if settings.images == "mirror":
        return True
    silent = [url for url in PROBES if not _answers(url)]
    if silent and settings.images == "registries":
        raise TargetError(
            f"cannot take images from their registries: {', '.join(silent)} does not answer",
            next_step=f"mend the connection, or build the images once: ./task lab:images, then {IMAGES_VARIABLE}=mirror",
        )
    return bool(silent)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_S):  # noqa: S310 - the three addresses above
            return True
    except urllib.error.HTTPError:
        # It wants a token first: it is there.
        return True
    except OSError:
        return False
