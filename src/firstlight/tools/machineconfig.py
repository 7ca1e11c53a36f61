"""Generate machine configs from the inventory into clusterconfig/, if something changed.

They are generated with `talosctl gen config`. talhelper is not pinned, so it is used only for what
it alone can generate: the definition decides, never what happens to be installed. Decrypted secrets
go from sops to talosctl through a pipe and are never written to disk. The results contain secrets
by nature, so their mode is 0600 and Git ignores them.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.machineplan import GenerationPlan, MachinePlan, plan_generation
from firstlight.errors import ToolMissing
from firstlight.files import write_atomically
from firstlight.tools import configstamp
from firstlight.tools.concurrency import concurrently
from firstlight.tools.secret_discovery import mask_configuration
from firstlight.tools.sops import Sops

if TYPE_CHECKING:
    from firstlight.definition.model import Cluster
    from firstlight.tools.runner import Runner

GENERATE_S = 30.0
"""talosctl takes a third of a second; a cold disk on a busy machine has taken ten."""
TALHELPER_S = 120.0
"""talhelper may ask the image factory for a schematic."""


@dataclass(frozen=True, slots=True)
class GeneratedConfigs:
    """The machine configs of a cluster in clusterconfig/.

    Attributes:
        files: One file per machine, in the order of the inventory.
        talosconfig: The Talos client's configuration.
        made_by: The tool that generated them.
        reused: Whether they existed already, from the same inputs.
    """

    files: tuple[Path, ...]
    talosconfig: Path
    made_by: str
    reused: bool


def generate_machine_configs(
    cluster: Cluster, runner: Runner, *, now: datetime
) -> GeneratedConfigs:
    """Write each machine's config and the talosconfig, unless they are current.

    Args:
        cluster: The definition.
        runner: Runs sops and talosctl, and masks the secrets.
        now: The time for the stamp, which decides when the client certificate is renewed.

    Raises:
        DefinitionError: The inventory is wrong.
        ToolMissing: The inventory needs talhelper, which is not installed.
        ToolFailed: The secrets cannot be decrypted, or the configs cannot be generated.
    """
    plan = plan_generation(cluster)
    made_by = _generator(plan)
    stale = configstamp.why_stale(
        cluster.talosconfig.parent, _files(cluster), made_by=made_by, inputs=plan.digest, now=now
    )
    configs = GeneratedConfigs(
        files=tuple(_files(cluster)[:-1]),
        talosconfig=cluster.talosconfig,
        made_by=made_by,
        reused=stale is None,
    )
    if configs.reused:
        return configs
    if plan.needs_talhelper and not _finds_talhelper(runner):
        raise ToolMissing(
            "talhelper",
            seen="not found, and `talosctl gen config` cannot generate: "
            f"{', '.join(plan.needs_talhelper)}",
            next_step="install talhelper, or configure the same in a patch",
        )
    talsecret = cluster.talsecret
    secrets = Sops(runner).decrypt(talsecret)
    texts = (
        _with_talhelper(cluster, runner, talsecret)
        if plan.needs_talhelper
        else _with_talosctl(cluster, plan, runner, secrets)
    )
    mask_configuration(runner, texts[cluster.talosconfig])
    _write(cluster, plan, made_by, texts, now)
    return configs


def why_stale(cluster: Cluster, *, now: datetime | None = None) -> str | None:
    """Return why the machine configs must be generated, or None if they are current.

    Args:
        cluster: The definition.
        now: The current time; without it, the age of the client certificate is ignored.

    Raises:
        DefinitionError: The inventory is wrong.
    """
    plan = plan_generation(cluster)
    return configstamp.why_stale(
        cluster.talosconfig.parent,
        _files(cluster),
        made_by=_generator(plan),
        inputs=plan.digest,
        now=now,
    )


def _finds_talhelper(runner: Runner) -> bool:
    return shutil.which("talhelper", path=runner.environment.get("PATH")) is not None


def _generator(plan: GenerationPlan) -> str:
    return "talhelper" if plan.needs_talhelper else "talosctl gen config"


def _with_talosctl(
    cluster: Cluster, plan: GenerationPlan, runner: Runner, secrets: str
) -> dict[Path, str]:
    by_hostname = {machine.hostname: machine for machine in plan.machines}
    generated = concurrently(
        partial(_machine_config, cluster, plan, by_hostname[node.hostname], runner, secrets)
        for node in cluster.nodes
    )
    texts = {
        cluster.machine_config(node): text
        for node, text in zip(cluster.nodes, generated, strict=True)
    }
    words = [*_gen_config(cluster), "--output-types", "talosconfig"]
    result = runner.run(words, timeout_s=GENERATE_S, input=secrets, quiet=True)
    result.raise_on_failure(f"generate the talosconfig of {cluster.name}")
    texts[cluster.talosconfig] = _with_endpoints(result.stdout, cluster)
    return texts


def _machine_config(
    cluster: Cluster, plan: GenerationPlan, machine: MachinePlan, runner: Runner, secrets: str
) -> str:
    # Patches as arguments would fill the report's list of commands with YAML. They contain no
    # secrets, so files are fine.
    with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
        words = [
            *_gen_config(cluster),
            "--output-types",
            machine.role,
            "--dns-domain",
            plan.dns_domain,
        ]
        # With an empty disk the selector decides; without the option, talosctl writes /dev/sda.
        words += ["--install-image", machine.install_image, "--install-disk", machine.install_disk]
        for index, patch in enumerate((machine.documents, *machine.patches)):
            file = Path(folder) / f"{index:02}.yaml"
            write_atomically(file, patch)
            words += ["--config-patch", f"@{file}"]
        result = runner.run(words, timeout_s=GENERATE_S, input=secrets, quiet=True)
    return result.raise_on_failure(f"generate the machine config of {machine.hostname}").stdout


def _gen_config(cluster: Cluster) -> list[str]:
    return [
        "talosctl",
        "gen",
        "config",
        cluster.name,
        cluster.endpoint,
        "--with-secrets",
        "/dev/stdin",
        "--talos-version",
        cluster.talos_version,
        "--kubernetes-version",
        cluster.kubernetes_version,
        "--with-docs=false",
        "--with-examples=false",
        "--output",
        "-",
    ]


def _with_talhelper(cluster: Cluster, runner: Runner, talsecret: Path) -> dict[Path, str]:
    # Git ignores clusterconfig/, so what a killed run leaves there is as safe as the result.
    parent = cluster.talosconfig.parent
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".talhelper-", dir=parent) as folder:
        words = [
            "talhelper",
            "genconfig",
            "--config-file",
            str(cluster.talconfig),
            "--secret-file",
            str(talsecret),
        ]
        words += ["--out-dir", folder, "--no-gitignore", "--disable-nodes-section"]
        runner.run(words, timeout_s=TALHELPER_S, quiet=True).raise_on_failure(
            f"generate the machine configs of {cluster.name}"
        )
        texts = {
            path: (Path(folder) / path.name).read_text(encoding="utf-8") for path in _files(cluster)
        }
    texts[cluster.talosconfig] = _with_endpoints(texts[cluster.talosconfig], cluster)
    return texts


def _with_endpoints(talosconfig: str, cluster: Cluster) -> str:
    """Return the talosconfig with the control plane nodes as endpoints, and no default nodes.

    The VIP is not an endpoint: it is elected through etcd, so it does not answer before the
    bootstrap. With several default nodes, `talosctl bootstrap` and `talosctl health` refuse, and
    `talosctl reset` would reset every machine. Without any, talosctl asks for `--nodes`.
    """
    data: dict[str, Any] = yaml.safe_load(talosconfig)
    for context in data["contexts"].values():
        context["endpoints"] = [str(node.address) for node in cluster.control_plane]
        context.pop("nodes", None)
    text: str = yaml.safe_dump(data, sort_keys=False)
    return text


def _write(
    cluster: Cluster, plan: GenerationPlan, made_by: str, texts: dict[Path, str], now: datetime
) -> None:
    folder = cluster.talosconfig.parent
    configstamp.remove_stamp(folder)
    for path, text in texts.items():
        write_atomically(path, text)
    configstamp.write_stamp(folder, [*texts], made_by=made_by, inputs=plan.digest, now=now)


def _files(cluster: Cluster) -> list[Path]:
    return [*(cluster.machine_config(node) for node in cluster.nodes), cluster.talosconfig]
