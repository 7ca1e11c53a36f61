"""Faults of the definition are refused before anything is touched, with their failure row."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.simulated.faults import Faults
from tests.rehearsals import Rehearsal, copy_of_the_checkout
from tests.warm import run_pytest


@dataclass(frozen=True)
class Mistake:
    """A definition with a mistake that leads to the row, and the rule that refuses it."""

    row: int
    file: str
    right: str
    wrong: str
    rule: str

    def __str__(self) -> str:
        return f"{self.row:02}-{self.rule}"


CILIUM = "clusters/infra/flux/config/cilium/helmrelease.yaml"

SPEGEL = "clusters/infra/flux/config/spegel/helmrelease.yaml"

CASES = (
    Mistake(
        14,
        "clusters/infra/talos/patches/controlplane/etcd.yaml",
        "- 10.25.11.0/24",
        "- 10.25.12.0/24",
        "subnet-not-node-network",
    ),
    Mistake(
        17,
        "clusters/infra/talos/talconfig.yaml",
        "additionalApiServerCertSans:\n  - 10.25.11.10",
        "additionalApiServerCertSans: []",
        "vip-not-in-certificate",
    ),
    Mistake(
        19, "clusters/infra/talos/talconfig.yaml", "          miimon: 100\n", "", "bond-unmonitored"
    ),
    Mistake(
        28,
        "bootstrap/infra/secrets.yaml.tpl",
        "op://k8s-ops/sops-age/private-key",
        "op://k8s-ops/sops-age",
        "op-reference-without-field",
    ),
    Mistake(34, CILIUM, "      hostLegacyRouting: true\n", "", "dns-answers-lost"),
    Mistake(39, CILIUM, "MTU: 9000", "MTU: 1500", "cilium-mtu-differs"),
    Mistake(
        42,
        CILIUM,
        "    cleanupOnFail: true\n    strategy:\n      name: RetryOnFailure\n",
        "    cleanupOnFail: true\n",
        "cni-uninstalled-on-failure",
    ),
    Mistake(
        47,
        "clusters/infra/talos/patches/controlplane/components.yaml",
        "  coreDNS:\n    disabled: true",
        "  coreDNS:\n    disabled: false",
        "coredns-not-off",
    ),
    Mistake(
        48,
        SPEGEL,
        "containerdRegistryConfigPath: /etc/cri/conf.d/hosts",
        "containerdRegistryConfigPath: /etc/containerd/certs.d",
        "registry-path-differs",
    ),
    Mistake(
        50,
        "clusters/infra/flux/config/spegel/ocirepository.yaml",
        "0.4.0",
        "0.5.0",
        "chart-version-broken",
    ),
    Mistake(
        61,
        "bootstrap/infra/resources/gitrepository.yaml",
        "ssh://git@github.com",
        "https://github.com",
        "git-url-not-ssh",
    ),
    Mistake(
        64,
        "clusters/infra/flux/config/flux/helmrelease.yaml",
        "helm.sh/resource-policy: keep",
        "helm.sh/resource-policy: drop",
        "crds-not-kept",
    ),
)


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    base = tmp_path_factory.mktemp("mistakes")
    copy_of_the_checkout(base / "checkout", 11)
    return Rehearsal(base / "checkout", base / "state")


@pytest.mark.parametrize("mistake", CASES, ids=str)
def test_a_mistake_is_refused_with_its_failure_row_before_anything_is_touched(
    rehearsal: Rehearsal, mistake: Mistake
):
    with Faults.changed(rehearsal.root / mistake.file, mistake.right, mistake.wrong):
        result = run_pytest(
            "bootstrap_tests",
            "--cluster",
            "infra",
            folder=rehearsal.root,
            environment=rehearsal.environment,
        )

    output = result.stdout
    assert result.returncode == 4, output
    assert f"[{mistake.rule}]" in output
    assert f"FL-{mistake.row:03}: " in output
    assert not rehearsal.state_home.exists()
