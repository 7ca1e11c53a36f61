"""What both sets of machines are made from: secrets, talosconfigs of three callers, and machine configurations, all by the real talosctl."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from firstlight.toolbox import Pins, Places, load_pins
from firstlight.tools.process import CommandResult, run

CLUSTER = "contract"
NODES = {
    "cp-1": "controlplane",
    "cp-2": "controlplane",
    "cp-3": "controlplane",
    "worker-1": "worker",
}
"""The machines by their place in the calls; each calls itself `contract-<place>`."""

PLACES = {"vip": 10, "cp-1": 11, "cp-2": 12, "cp-3": 13, "worker-1": 14, "absent": 99}
"""The last number of each address that calls name; nobody has the last one."""

_GENERATE_S = 60.0

# Without discovery, as there may be no way to the internet; without Talos's own CNI, proxy and CoreDNS, as in clusters/infra.
_EVERYWHERE = {
    "cluster": {"network": {"cni": {"name": "none"}}, "discovery": {"enabled": False}},
    "machine": {"features": {"hostDNS": {"enabled": True, "forwardKubeDNSToHost": True}}},
}
_CONTROL_PLANE = {"cluster": {"proxy": {"disabled": True}, "coreDNS": {"disabled": True}}}


@cache
def _pins() -> Pins:
    return load_pins(Places.of_this_checkout().versions)


@dataclass(frozen=True, slots=True)
class Material:
    """Files that machines and callers are made from.

    Attributes:
        folder: Where everything lies.
        talosctl: The program that made them.
        places: Addresses by name.
    """

    folder: Path
    talosctl: Path
    places: Mapping[str, str]

    @property
    def talos(self) -> str:
        """The version of Talos, that of the machines that can be built here."""
        return f"v{_pins().tools['machined'].version}"

    @property
    def kubernetes(self) -> str:
        """The version of Kubernetes, likewise."""
        return f"v{_pins().tools['kubelet'].version}"

    @property
    def talosconfigs(self) -> dict[str, Path]:
        """The talosconfig of each caller."""
        return {
            caller: self.folder / f"talosconfig.{caller}"
            for caller in ("admin", "reader", "stranger")
        }

    @property
    def files(self) -> dict[str, Path]:
        """The files that calls name."""
        named = {"config": self.config("cp-1"), "broken": self.folder / "broken.yaml"}
        return {**named, "scratch": self.folder / "scratch", "home": self.folder / "home"}

    def config(self, node: str) -> Path:
        """The configuration of a machine."""
        return self.folder / f"{node}.yaml"

    def make(
        self,
        patches: Sequence[Mapping[str, object]] = (),
        documents: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Make everything; `patches` go into every machine's v1alpha1 document, `documents` are added to it."""
        for folder in (self.folder, self.files["scratch"], self.files["home"]):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("ours", "theirs"):
            self._talosctl("gen", "secrets", "--output-file", str(self.folder / f"{name}.yaml"))
        for caller, secrets in (("admin", "ours"), ("stranger", "theirs")):
            self._gen(secrets, "talosconfig", self.talosconfigs[caller])
        self._reader()
        for node in NODES:
            self.write_config(node, self.config(node), patches, documents)
        self.files["broken"].write_text(
            self.config("cp-1")
            .read_text(encoding="utf-8")
            .replace("\nmachine:\n", "\nmachine:\n    nosuchkey: 1\n", 1)
        )

    def write_config(
        self,
        node: str,
        file: Path,
        patches: Sequence[Mapping[str, object]] = (),
        documents: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Write the configuration of a machine into a file."""
        role = NODES[node]
        hostname = {
            "apiVersion": "v1alpha1",
            "kind": "HostnameConfig",
            "auto": "off",
            "hostname": f"{CLUSTER}-{node}",
        }
        own: list[Mapping[str, object]] = [
            _EVERYWHERE,
            {"machine": {"certSANs": [self.places["vip"]]}},
            hostname,
        ]
        if role == "controlplane":
            own += [
                _CONTROL_PLANE,
                {
                    "apiVersion": "v1alpha1",
                    "kind": "Layer2VIPConfig",
                    "name": self.places["vip"],
                    "link": "eth0",
                },
            ]
        words = []
        for index, patch in enumerate([*own, *patches, *documents]):
            path = self.folder / f"{node}.patch.{index:02}.yaml"
            path.write_text(yaml.safe_dump(patch), encoding="utf-8")
            words += ["--config-patch", f"@{path}"]
        self._gen("ours", role, file, *words)

    def _gen(self, secrets: str, output: str, file: Path, *words: str) -> None:
        endpoint = f"https://{self.places['vip']}:6443"
        command = [
            "gen",
            "config",
            CLUSTER,
            endpoint,
            "--with-secrets",
            str(self.folder / f"{secrets}.yaml"),
            "--output-types",
            output,
        ]
        versions = [
            "--talos-version",
            self.talos,
            "--kubernetes-version",
            self.kubernetes,
            "--with-docs=false",
            "--with-examples=false",
        ]
        self._talosctl(*command, *versions, *words, "--force", "--output", str(file))

    def _reader(self) -> None:
        """Make the talosconfig of somebody who may only read, as `talosctl config new --roles os:reader` would."""
        authority = yaml.safe_load((self.folder / "ours.yaml").read_text(encoding="utf-8"))[
            "certs"
        ]["os"]
        (self.folder / "ca.crt").write_bytes(base64.b64decode(authority["crt"]))
        (self.folder / "ca.key").write_bytes(base64.b64decode(authority["key"]))
        for words in (
            ("gen", "key", "--name", "reader", "--force"),
            (
                "gen",
                "csr",
                "--key",
                "reader.key",
                "--ip",
                "127.0.0.1",
                "--roles",
                "os:reader",
                "--force",
            ),
            ("gen", "crt", "--ca", "ca", "--csr", "reader.csr", "--name", "reader", "--force"),
        ):
            self._talosctl(*words)
        context = {
            name: base64.b64encode((self.folder / file).read_bytes()).decode()
            for name, file in _READER_FILES.items()
        }
        talosconfig = {"context": CLUSTER, "contexts": {CLUSTER: {"endpoints": [], **context}}}
        self.talosconfigs["reader"].write_text(yaml.safe_dump(talosconfig), encoding="utf-8")

    def _talosctl(self, *words: str) -> CommandResult:
        environment = {"HOME": str(self.files["home"]), "PATH": ""}
        result = run(
            [self.talosctl, *words], timeout_s=_GENERATE_S, env=environment, cwd=self.folder
        )
        return result.raise_on_failure("make the machines' secrets and configurations")


_READER_FILES = {"ca": "ca.crt", "crt": "reader.crt", "key": "reader.key"}
