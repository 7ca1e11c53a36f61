"""The choices of a lab: how many machines, which network, where images come from.

Whatever is not chosen stays as the lab was created.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network

from firstlight.errors import TargetError
from firstlight.files import write_atomically
from lab.simulated.paths import LabPaths

NODES_VARIABLE = "FIRSTLIGHT_DOCKER_NODES"
SUBNET_VARIABLE = "FIRSTLIGHT_DOCKER_SUBNET"
IMAGES_VARIABLE = "FIRSTLIGHT_DOCKER_IMAGES"
IMAGES = ("auto", "registries", "mirror")
_DEFAULTS = {"nodes": "3+3", "subnet": "10.5.0.0/24", "images": "auto"}
_VARIABLES = {"nodes": NODES_VARIABLE, "subnet": SUBNET_VARIABLE, "images": IMAGES_VARIABLE}
_SIZE = re.compile(r"([1-9]\d?)\+(\d\d?)")
_PREFIX_MAX = 28
"""The nodes use the last numbers of the definition's addresses; a smaller network lacks them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A lab's choices, checked.

    Attributes:
        nodes: Control plane nodes and workers, as in `3+3`.
        subnet: The network of the node containers.
        images: `registries`, `mirror`, or `auto` to find out.
    """

    nodes: str
    subnet: str
    images: str

    @property
    def control_planes(self) -> int:
        """The number of control plane nodes."""
        return int(self.nodes.partition("+")[0])

    @property
    def workers(self) -> int:
        """The number of workers."""
        return int(self.nodes.partition("+")[2])

    @property
    def network(self) -> IPv4Network:
        """The network of the node containers."""
        return IPv4Network(self.subnet)


def choose(paths: LabPaths, environ: Mapping[str, str], *, fresh: bool) -> Settings:
    """Return the lab's choices: the environment's, else the existing lab's, else the defaults.

    Raises:
        TargetError: A choice is invalid, or differs from the one that the lab was created with.
    """
    chosen = {
        name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)
    }
    file = paths.state / "settings.json"
    kept: dict[str, str] = (
        {} if fresh or not file.exists() else json.loads(file.read_text(encoding="utf-8"))
    )
    for name, value in chosen.items():
        if kept and kept[name] != value and "auto" not in (kept[name], value):
            raise TargetError(
                f"cannot bring up the lab of {paths.cluster} with {_VARIABLES[name]}={value}: "
                f"it was created with {kept[name]}",
                next_step=f"./task docker:down CLUSTER={paths.cluster}, then run the same again",
            )
    settings = Settings(**{**_DEFAULTS, **kept, **chosen})
    check(settings)
    return settings


def keep(paths: LabPaths, settings: Settings) -> None:
    """Save a lab's choices."""
    write_atomically(
        paths.state / "settings.json", json.dumps(asdict(settings), indent=2) + "\n", mode=0o644
    )


def check(settings: Settings) -> None:
    """Reject invalid choices.

    Raises:
        TargetError: A choice is invalid; the message says which one, and what is valid.
    """
    if not _SIZE.fullmatch(settings.nodes):
        raise TargetError(
            f"cannot make {settings.nodes!r} nodes: give control planes and workers, as in 3+3",
            next_step=f"{NODES_VARIABLE}=1+1",
        )
    if settings.images not in IMAGES:
        raise TargetError(
            f"cannot take images from {settings.images!r}: {IMAGES_VARIABLE} is one of "
            f"{', '.join(IMAGES)}",
            next_step=f"{IMAGES_VARIABLE}=auto",
        )
    network_of(settings.subnet, SUBNET_VARIABLE, _DEFAULTS["subnet"])


def network_of(text: str, variable: str, default: str) -> IPv4Network:
    """Return the network that was chosen for node containers.

    Args:
        text: The choice.
        variable: The environment variable that it came from.
        default: A network that is valid.

    Raises:
        TargetError: The choice is invalid.
    """
    other = f"{variable}={default}"
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise TargetError(
            f"cannot use {text!r} for node containers: {error}", next_step=other
        ) from error
    if not network.is_private or network.prefixlen > _PREFIX_MAX:
        raise TargetError(
            f"cannot use {network} for node containers: it must be a private network of at least "
            f"{2 ** (32 - _PREFIX_MAX)} addresses",
            next_step=other,
        )
    return network
