"""What can be chosen of a lab: how many machines, which network, where images come from. What is not said stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network

from firstlight.errors import TargetError
from lab.docker.routes import SUBNET_VARIABLE
from lab.simulated.paths import LabPaths, write_atomic

NODES_VARIABLE = "FIRSTLIGHT_DOCKER_NODES"
IMAGES_VARIABLE = "FIRSTLIGHT_DOCKER_IMAGES"
IMAGES = ("auto", "registries", "mirror")
_DEFAULTS = {"nodes": "3+3", "subnet": "10.5.0.0/24", "images": "auto"}
_VARIABLES = {"nodes": NODES_VARIABLE, "subnet": SUBNET_VARIABLE, "images": IMAGES_VARIABLE}
_SIZE = re.compile(r"([1-9]\d?)\+(\d\d?)")
_PREFIX_MAX = 28
"""The nodes have the last numbers of the definition's addresses; a smaller network could not hold them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A lab's choices, checked.

    Attributes:
        nodes: Control plane nodes and workers, as `3+3`.
        subnet: The network of the node containers.
        images: `registries`, `mirror`, or `auto` to find out.
    """

    nodes: str
    subnet: str
    images: str

    @property
    def control_planes(self) -> int:
        """How many control plane nodes."""
        return int(self.nodes.partition("+")[0])

    @property
    def workers(self) -> int:
        """How many workers."""
        return int(self.nodes.partition("+")[2])

    @property
    def network(self) -> IPv4Network:
        """The network of the node containers."""
        return IPv4Network(self.subnet)


def choose(paths: LabPaths, environ: Mapping[str, str], *, fresh: bool) -> Settings:
    """Return the lab's choices: those of the environment, else those that the lab was made with, else the defaults.

    Raises:
        TargetError: One makes no sense, or a lab that is up was made with another.
    """
    said = {
        name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)
    }
    file = paths.state / "settings.json"
    made: dict[str, str] = (
        {} if fresh or not file.exists() else json.loads(file.read_text(encoding="utf-8"))
    )
    for name, value in said.items():
        if made and made[name] != value and "auto" not in (made[name], value):
            raise TargetError(
                f"cannot bring up the lab of {paths.cluster} with {_VARIABLES[name]}={value}: it was made with {made[name]}",
                next_step=f"./task docker:down CLUSTER={paths.cluster}, then the same again",
            )
    settings = Settings(**{**_DEFAULTS, **made, **said})
    check(settings)
    return settings


def keep(paths: LabPaths, settings: Settings) -> None:
    """Remember a lab's choices."""
    write_atomic(paths.state / "settings.json", json.dumps(asdict(settings), indent=2) + "\n")


def check(settings: Settings) -> None:
    """Refuse choices that make no sense.

    Raises:
        TargetError: One makes none; the message says which, and what would.
    """
    if not _SIZE.fullmatch(settings.nodes):
        raise TargetError(
            f"cannot make {settings.nodes!r} nodes: say control planes and workers, as in 3+3",
            next_step=f"{NODES_VARIABLE}=1+1",
        )
    if settings.images not in IMAGES:
        raise TargetError(
            f"cannot take images from {settings.images!r}: {IMAGES_VARIABLE} is one of {', '.join(IMAGES)}",
            next_step=f"{IMAGES_VARIABLE}=auto",
        )
    network_of(settings.subnet, SUBNET_VARIABLE, _DEFAULTS["subnet"])


def network_of(said: str, variable: str, default: str) -> IPv4Network:
    """Return the network that somebody chose for node containers.

    Args:
        said: What was chosen.
        variable: What it was chosen with.
        default: What would do.

    Raises:
        TargetError: It makes no sense.
    """
    other = f"{variable}={default}"
    try:
        network = IPv4Network(said)
    except ValueError as error:
        raise TargetError(
            f"cannot use {said!r} for node containers: {error}", next_step=other
        ) from error
    if not network.is_private or network.prefixlen > _PREFIX_MAX:
        raise TargetError(
            f"cannot use {network} for node containers: it must be a private network of at least {2 ** (32 - _PREFIX_MAX)} addresses",
            next_step=other,
        )
    return network
