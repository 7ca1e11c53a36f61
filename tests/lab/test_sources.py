"""Flux's sources point at the lab. Comments, order and indentation of the files stay."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
import yaml

from lab.simulated.addresses import endpoints, git_urls, point_at_lab

LAB = endpoints(IPv4Network("10.25.11.0/24"))
GITHUB = "ssh://git@github.com/example-org/k8s-ops.git"

OCI = """\
# Why this chart.
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
spec:
  interval: 1h
  url: oci://quay.io/jetstack/charts/cert-manager # a comment
  ref:
    tag: v1.19.2
"""


def test_an_oci_repository_points_at_the_lab_without_tls():
    changed = point_at_lab(OCI, LAB, frozenset())

    assert changed == OCI.replace(
        "oci://quay.io/jetstack/charts/cert-manager",
        "oci://127.25.11.1:5000/charts/cert-manager\n  insecure: true",
    )
    assert yaml.safe_load(changed)["spec"]["insecure"] is True


def test_the_field_insecure_is_not_duplicated():
    changed = yaml.safe_load(
        point_at_lab(OCI.replace("interval: 1h", "insecure: false"), LAB, frozenset())
    )

    assert changed["spec"]["insecure"] is True


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("https://helm.cilium.io", LAB.charts_url),
        ('"https://helm.cilium.io/"', LAB.charts_url),
        ("oci://ghcr.io/x", LAB.registry),
    ],
)
def test_a_helm_repository_points_at_the_lab(url: str, becomes: str):
    changed = yaml.safe_load(
        point_at_lab(f"kind: HelmRepository\nspec:\n  url: {url}\n", LAB, frozenset())
    )

    assert changed["spec"]["url"] == becomes
    assert changed["spec"].get("insecure") is (True if becomes.startswith("oci") else None)


def test_only_the_definitions_own_remote_points_at_the_lab():
    text = (
        f"kind: GitRepository\nspec:\n  url: {GITHUB}\n---\n"
        "kind: GitRepository\nspec:\n  url: https://example.invalid/else\n"
    )

    ours, other = yaml.safe_load_all(
        point_at_lab(text, LAB, git_urls(iter([f"kind: GitRepository\nspec: {{url: {GITHUB}}}"])))
    )

    assert ours["spec"]["url"] == LAB.git_url
    assert other["spec"]["url"] == "https://example.invalid/else"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: b\n",
        "kind: HelmRelease\nspec:\n  url: oci://x/y\n",
        "# kind: OCIRepository\nkind: Secret\n",
    ],
)
def test_other_files_stay_unchanged(text: str):
    assert point_at_lab(text, LAB, frozenset()) == text
