"""Machine configs: generate them from the inventory into the ignored clusterconfig/, only when something changed.

talhelper does it where it is installed; else `talosctl gen config` does, with the same data. The decrypted secrets go from
sops to talosctl through pipes and are never written. What is written holds secrets by nature, hence 0600 and not in Git.
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
from firstlight.tools.secret_discovery import learn_configuration
from firstlight.tools.sops import Sops

if TYPE_CHECKING:
    from firstlight.definition.model import Cluster
    from firstlight.tools.runner import Runner

GENERATE_S = 30.0
"""talosctl needs a third of a second; a cold disk on a loaded machine has taken ten."""
TALHELPER_S = 120.0
"""It may ask the image factory for a schematic."""


@dataclass(frozen=True, slots=True)
class GeneratedConfigs:
    """The machine configs of a cluster, as they lie in clusterconfig/.

    Attributes:
        files: One for each machine, in the order of the inventory.
        talosconfig: The Talos client's configuration.
        made_by: The tool that made them.
        reused: Whether they were there already, made from the very same inputs.
    """

    files: tuple[Path, ...]
    talosconfig: Path
    made_by: str
    reused: bool


def generate_machine_configs(
    cluster: Cluster, runner: Runner, *, now: datetime
) -> GeneratedConfigs:
    """Write each machine's config and the talosconfig, unless they are there and their inputs have not changed.

    Args:
        cluster: The definition.
        runner: Runs sops and talosctl; learns the secrets, so as to mask them.
        now: Goes into the stamp, so that the client certificate is renewed in time.

    Raises:
        DefinitionError: The inventory is wrong.
        ToolMissing: The inventory uses what only talhelper can generate, and talhelper is not installed.
        ToolFailed: The secrets cannot be decrypted, or the configs cannot be generated.
    """
    plan = plan_generation(cluster)
    talhelper = _talhelper(runner)
    made_by = _maker(runner)
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
    if talhelper is None and plan.needs_talhelper:
        raise ToolMissing(
            "talhelper",
            seen=f"not found, and `talosctl gen config` cannot make: {', '.join(plan.needs_talhelper)}",
            next_step="install talhelper, or say the same in a patch",
        )
    talsecret = cluster.talsecret
    secrets = Sops(runner).decrypt(talsecret)
    texts = (
        _with_talhelper(cluster, runner, talsecret)
        if talhelper
        else _with_talosctl(cluster, plan, runner, secrets)
    )
    learn_configuration(runner, texts[cluster.talosconfig])
    _write(cluster, plan, made_by, texts, now)
    return configs


def why_stale(cluster: Cluster, runner: Runner, *, now: datetime | None = None) -> str | None:
    """Say why the machine configs have to be generated, or nothing when those that are there still hold.

    Args:
        cluster: The definition.
        runner: Knows whether talhelper is installed.
        now: Tells whether the client certificate is due for renewal; not looked at when absent.

    Raises:
        DefinitionError: The inventory is wrong.
    """
    inputs = plan_generation(cluster).digest
    return configstamp.why_stale(
        cluster.talosconfig.parent, _files(cluster), made_by=_maker(runner), inputs=inputs, now=now
    )


def _talhelper(runner: Runner) -> str | None:
    return shutil.which("talhelper", path=runner.environment.get("PATH"))


def _maker(runner: Runner) -> str:
    return "talhelper" if _talhelper(runner) else "talosctl gen config"


def _with_talosctl(
    cluster: Cluster, plan: GenerationPlan, runner: Runner, secrets: str
) -> dict[Path, str]:
    by_hostname = {machine.hostname: machine for machine in plan.machines}
    made = concurrently(
        partial(_machine_config, cluster, plan, by_hostname[node.hostname], runner, secrets)
        for node in cluster.nodes
    )
    texts = {
        cluster.machine_config(node): text for node, text in zip(cluster.nodes, made, strict=True)
    }
    words = [*_gen_config(cluster), "--output-types", "talosconfig"]
    result = runner.run(words, timeout_s=GENERATE_S, input=secrets, quiet=True)
    result.raise_on_failure(f"generate the talosconfig of {cluster.name}")
    texts[cluster.talosconfig] = _with_endpoints(result.stdout, cluster)
    return texts


def _machine_config(
    cluster: Cluster, plan: GenerationPlan, machine: MachinePlan, runner: Runner, secrets: str
) -> str:
    # Files, because patches as arguments would fill the report's list of commands with YAML. There are no secrets in them.
    with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
        words = [
            *_gen_config(cluster),
            "--output-types",
            machine.role,
            "--dns-domain",
            plan.dns_domain,
        ]
        # An empty disk leaves the choice to the selector; without the option, talosctl would write /dev/sda.
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
    # Inside clusterconfig/, which Git ignores: what a killed run leaves behind is no easier to lose than the result.
    place = cluster.talosconfig.parent
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".talhelper-", dir=place) as folder:
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

    The VIP is no endpoint: it is elected through etcd, so it answers nothing before the bootstrap. Default nodes are
    left out on purpose: with several, `talosctl bootstrap` and `talosctl health` refuse, and `talosctl reset` would
    take every machine. Without any, talosctl says that `--nodes` is missing.
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
