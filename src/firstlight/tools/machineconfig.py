"""Machine configs: generate them from the inventory into the ignored clusterconfig/, only when something changed.

talhelper does it where it is installed; else `talosctl gen config` does, with the same data. The decrypted secrets go from
sops to talosctl through pipes and are never written. What is written holds secrets by nature, hence 0600 and not in Git.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.machineplan import GenerationPlan, MachinePlan, plan_generation
from firstlight.errors import ToolMissing
from firstlight.tools.files import write_atomically
from firstlight.tools.sops import Sops

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.definition.model import Cluster
    from firstlight.tools.runner import Runner

GENERATE_S = 30.0
"""talosctl needs a third of a second; a cold disk on a loaded machine has taken ten."""
TALHELPER_S = 120.0
"""It may ask the image factory for a schematic."""
TALOSCONFIG_AGE_DAYS_MAX = 300
"""Talos issues the admin's client certificate for a year; a new one is made well before that."""

_STAMP = ".generated.json"
_FORM = "1"
"""Changed whenever configs made by older code must be made anew."""


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


def generate_machine_configs(cluster: Cluster, runner: Runner, *, now: datetime) -> GeneratedConfigs:
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
    talhelper = shutil.which("talhelper", path=runner.environment.get("PATH"))
    made_by = "talhelper" if talhelper else "talosctl gen config"
    configs = GeneratedConfigs(
        files=tuple(cluster.machine_config(node) for node in cluster.nodes),
        talosconfig=cluster.talosconfig,
        made_by=made_by,
        reused=_is_current(cluster, plan, made_by, now),
    )
    if configs.reused:
        return configs
    if talhelper is None and plan.needs_talhelper:
        raise ToolMissing(
            "talhelper",
            seen=f"not found, and `talosctl gen config` cannot make: {', '.join(plan.needs_talhelper)}",
            next_step="install talhelper, or say the same in a patch",
        )
    talsecret = cluster.talos_dir / "talsecret.sops.yaml"
    secrets = Sops(runner).decrypt(talsecret)
    runner.keep_secret(*_leaves(yaml.safe_load(secrets)))
    texts = _with_talhelper(cluster, runner, talsecret) if talhelper else _with_talosctl(cluster, plan, runner, secrets)
    _write(cluster, plan, made_by, texts, now)
    return configs


def _with_talosctl(cluster: Cluster, plan: GenerationPlan, runner: Runner, secrets: str) -> dict[Path, str]:
    by_hostname = {machine.hostname: machine for machine in plan.machines}
    texts = {
        cluster.machine_config(node): _machine_config(cluster, plan, by_hostname[node.hostname], runner, secrets)
        for node in cluster.nodes
    }
    words = [*_gen_config(cluster), "--output-types", "talosconfig"]
    result = runner.run(words, timeout_s=GENERATE_S, input=secrets, quiet=True)
    result.raise_on_failure(f"generate the talosconfig of {cluster.name}")
    texts[cluster.talosconfig] = _with_endpoints(result.stdout, cluster)
    return texts


def _machine_config(cluster: Cluster, plan: GenerationPlan, machine: MachinePlan, runner: Runner, secrets: str) -> str:
    # Files, because patches as arguments would fill the report's list of commands with YAML. There are no secrets in them.
    with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
        words = [*_gen_config(cluster), "--output-types", machine.role, "--dns-domain", plan.dns_domain]
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
        words = ["talhelper", "genconfig", "--config-file", str(cluster.talos_dir / "talconfig.yaml"), "--secret-file", str(talsecret)]
        words += ["--out-dir", folder, "--no-gitignore", "--disable-nodes-section"]
        runner.run(words, timeout_s=TALHELPER_S, quiet=True).raise_on_failure(f"generate the machine configs of {cluster.name}")
        wanted = [*(cluster.machine_config(node) for node in cluster.nodes), cluster.talosconfig]
        texts = {path: (Path(folder) / path.name).read_text(encoding="utf-8") for path in wanted}
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


def _write(cluster: Cluster, plan: GenerationPlan, made_by: str, texts: dict[Path, str], now: datetime) -> None:
    stamp = _stamp_path(cluster)
    # Without its stamp, a half-written set is made anew by the next run.
    stamp.unlink(missing_ok=True)
    for path, text in texts.items():
        write_atomically(path, text)
    content = {
        "form": _FORM,
        "made_by": made_by,
        "made_at": now.isoformat(timespec="seconds"),
        "inputs": plan.digest,
        "outputs": {path.name: _digest(path) for path in texts},
    }
    write_atomically(stamp, json.dumps(content, indent=2) + "\n")


def _is_current(cluster: Cluster, plan: GenerationPlan, made_by: str, now: datetime) -> bool:
    try:
        stamp = json.loads(_stamp_path(cluster).read_text(encoding="utf-8"))
        made_at = datetime.fromisoformat(stamp["made_at"])
        wanted = [*(cluster.machine_config(node) for node in cluster.nodes), cluster.talosconfig]
        return (
            (stamp["form"], stamp["made_by"], stamp["inputs"]) == (_FORM, made_by, plan.digest)
            and timedelta(0) <= now - made_at < timedelta(days=TALOSCONFIG_AGE_DAYS_MAX)
            and stamp["outputs"] == {path.name: _digest(path) for path in wanted}
        )
    except (OSError, ValueError, KeyError, TypeError):
        # A stamp that is missing or damaged proves nothing: make everything anew.
        return False


def _stamp_path(cluster: Cluster) -> Path:
    return cluster.talosconfig.with_name(_STAMP)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _leaves(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        for value in data.values():
            yield from _leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value)
    elif isinstance(data, str):
        yield data
