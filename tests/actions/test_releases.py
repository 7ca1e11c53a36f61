"""Releases: when they are installed, in which order, and how incomplete ones are repaired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firstlight.actions.releases import apply_crds, install_release
from firstlight.errors import ActionFailed
from firstlight.process import ToolFailed
from firstlight.run.retry import is_retried
from firstlight.tools.helm import Helm
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.helmfile import SYNC_S, Helmfile
from firstlight.tools.kubernetes import ApiRefused, Kubernetes
from firstlight.tools.objects import CRDS, SECRETS
from firstlight.tools.reading import Unreadable
from tests.definitions import CHECKOUT, infra
from tests.tools.apiserver import ApiServer
from tests.tools.helm_secrets import helm_secret, records
from tests.tools.scripted import CAPTURED, Said, captured, scripted

CLUSTER = infra()
CILIUM, COREDNS, SPEGEL = (CLUSTER.release(name) for name in ("cilium", "coredns", "spegel"))

Row = dict[str, Any]


def row(
    name: str,
    status: str = "deployed",
    **changes: Any,
) -> Row:
    return {"name": name, "status": status, **changes}


def deployed(name: str, **changes: Any) -> Row:
    release = CLUSTER.release(name)
    return row(
        name,
        **{
            "namespace": release.namespace,
            "chart": f"{release.chart}-{release.version}",
            **changes,
        },
    )


def cluster_with(
    *rows: Row,
    values: dict[str, Any] | None = None,
    past: tuple[str, ...] = (),
    sync: Said | None = None,
    manifests: Said | None = None,
):
    """Return a cluster with these releases; the first had revisions of these states before."""
    brought = manifests.stdout if manifests else ""
    secrets = [helm_secret(**{"values": values, "manifest": brought, **each}) for each in rows]
    secrets += [
        helm_secret(**{**rows[0], "status": status, "revision": number})
        for number, status in enumerate(past, 1)
    ]
    runner = scripted(
        {
            "rollback": Said(),
            "uninstall": Said(),
            "sync": sync or Said(),
            "list --output json --skip-charts": captured("helmfile-list-crds"),
        }
    )
    return (
        runner,
        Helm(runner, Path("kubeconfig"), CLUSTER.context),
        records(*secrets),
        Helmfile(runner, CLUSTER.bootstrap_dir, Path("kubeconfig"), CLUSTER.context),
    )


NO_CLUSTER = Kubernetes(Path("kubeconfig"), CLUSTER.context)
"""A cluster that is not there: an installation that fails says so beside what helm said."""


def install(release: Any, *rows: Row, **how: Any):
    runner, helm, held, helmfile = cluster_with(*rows, **how)
    return runner, install_release(helmfile, helm, held, NO_CLUSTER, CLUSTER, release)


def test_a_release_deployed_as_defined_is_not_installed_again():
    runner, action = install(CILIUM, deployed("cilium"), values=dict(CILIUM.values))

    assert action.need() is None
    assert runner.changed == []


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((), "cilium is not installed"),
        ((deployed("cilium", namespace="elsewhere"),), "cilium is not installed"),
        ((deployed("cilium", status="failed", revision=3),), "cilium is failed (revision 3)"),
        ((deployed("cilium", status="pending-install"),), "cilium is pending-install (revision 1)"),
        (
            (deployed("cilium", chart="cilium-1.18.4"),),
            f"cilium is cilium-1.18.4, not cilium-{CILIUM.version}",
        ),
        (
            (deployed("cilium", chart=f"cilium-1{CILIUM.version}"),),
            f"cilium is cilium-1{CILIUM.version}, not cilium-{CILIUM.version}",
        ),
        (
            (deployed("cilium", chart=f"other-{CILIUM.version}"),),
            f"cilium is other-{CILIUM.version}, not cilium-{CILIUM.version}",
        ),
    ],
    ids=[
        "none",
        "in another namespace",
        "failed",
        "pending",
        "older",
        "a longer number",
        "another chart",
    ],
)
def test_the_reason_for_an_installation_is_named(found: tuple[Row, ...], why: str):
    _, action = install(CILIUM, *found, values=dict(CILIUM.values))

    assert action.need() == why


@pytest.mark.parametrize(
    "chart",
    [f"cilium-v{CILIUM.version}", f"cilium-{CILIUM.version}+4f3a2b1c"],
    ids=["leading v", "digest"],
)
def test_the_notation_of_a_chart_version_makes_no_difference(chart: str):
    """Flux may append the digest of what it pulled to the version."""
    _, action = install(CILIUM, deployed("cilium", chart=chart), values=dict(CILIUM.values))

    assert action.need() is None


BROUGHT = captured("helm-get-manifests")
IDENTITIES, POOLS = CAPTURED["helm-get-manifests"]["expected"]


def holding(api: ApiServer, *crds: str) -> None:
    api.hold(CRDS, *({"metadata": {"name": name}} for name in crds))


@pytest.mark.parametrize(
    ("present", "why"),
    [
        ([IDENTITIES, POOLS, "others.example.org"], None),
        ([POOLS], f"the cluster lacks {IDENTITIES}, which cilium brought"),
        ([IDENTITIES], f"the cluster lacks {POOLS}, which cilium brought"),
        ([], f"the cluster lacks {IDENTITIES}, {POOLS}, which cilium brought"),
    ],
    ids=["all", "a template is missing", "one of crds/ is missing", "both are missing"],
)
def test_a_release_whose_crd_is_gone_is_installed_again(
    api: ApiServer, kubernetes: Kubernetes, present: list[str], why: str | None
):
    """Helm's record says deployed, whatever was deleted since."""
    holding(api, *present)
    runner, helm, held, helmfile = cluster_with(
        deployed("cilium"), values=dict(CILIUM.values), manifests=BROUGHT
    )
    action = install_release(helmfile, helm, held, kubernetes, CLUSTER, CILIUM)

    assert action.need() == why
    action.act()

    assert [" sync " in line for line in runner.changed] == [True], "nothing is uninstalled"


def test_different_values_require_an_installation():
    _, action = install(CILIUM, deployed("cilium"), values={**CILIUM.values, "MTU": 1500})

    assert action.need() == "the values of cilium differ from its HelmRelease"


def test_a_record_without_helms_labels_is_an_error():
    _, helm, _, helmfile = cluster_with()
    secret = helm_secret("cilium")
    del secret["metadata"]["labels"]["status"]

    with pytest.raises(Unreadable, match="it does not have Helm's labels"):
        install_release(helmfile, helm, records(secret), NO_CLUSTER, CLUSTER, CILIUM).need()


def test_a_release_requires_all_earlier_releases():
    runner, action = install(SPEGEL, deployed("cilium"), deployed("coredns", status="failed"))

    with pytest.raises(
        ActionFailed, match="cannot install spegel: coredns must be deployed before it"
    ) as caught:
        action.act()

    assert caught.value.next_step == ("./task bootstrap:releases CLUSTER=infra TARGET=<target>")
    assert runner.changed == []


def test_a_release_is_synced_alone_without_its_dependencies():
    runner, action = install(COREDNS, deployed("cilium"))

    action.act()

    (line,) = runner.changed
    assert line.endswith("--selector name=coredns sync --hide-notes --skip-needs")


MENDED = {
    "first installation": (
        deployed("cilium", status="pending-install"),
        ("pending-install",),
        "helm --kubeconfig kubeconfig --kube-context admin@infra uninstall cilium",
    ),
    "first installation after a failed one": (
        deployed("cilium", status="pending-upgrade", revision=2),
        ("failed",),
        "uninstall cilium",
    ),
    "upgrade": (
        deployed("cilium", status="pending-upgrade", revision=3),
        ("superseded", "deployed"),
        "rollback cilium 2 ",
    ),
    "upgrade after a failed one": (
        deployed("cilium", status="pending-upgrade", revision=3),
        ("deployed", "failed"),
        "rollback cilium 1 ",
    ),
    "our own rollback": (
        deployed("cilium", status="pending-rollback", revision=4),
        ("superseded", "deployed", "pending-upgrade"),
        "rollback cilium 2 ",
    ),
    "our own removal": (
        deployed("cilium", status="uninstalling"),
        (),
        "uninstall cilium",
    ),
}


@pytest.mark.parametrize("how", MENDED)
def test_an_incomplete_release_is_repaired_before_it_is_installed(how: str):
    found, past, command = MENDED[how]
    runner, action = install(CILIUM, found, past=past)

    action.act()

    mended, synced = runner.changed
    assert command in mended
    assert " sync " in synced


@pytest.mark.parametrize("status", ["deployed", "failed", "superseded", "uninstalled"])
def test_a_release_that_helm_can_upgrade_is_not_repaired(status: str):
    runner, action = install(CILIUM, deployed("cilium", status=status))

    action.act()

    assert [line for line in runner.changed if " sync " not in line] == []


def test_a_release_of_the_same_name_elsewhere_is_never_touched():
    runner, action = install(
        CILIUM,
        deployed("cilium", namespace="staging", status="pending-install"),
        deployed("cilium"),
    )

    action.act()

    assert [line for line in runner.changed if "staging" in line or "uninstall" in line] == []


def test_an_incomplete_release_of_another_name_is_left_alone():
    runner, action = install(CILIUM, row("somebody-elses", "pending-install"))

    action.act()

    assert len(runner.changed) == 1


def test_a_failure_of_helm_carries_its_row():
    _, action = install(CILIUM, sync=captured("helmfile-sync-pending"))

    with pytest.raises(ToolFailed, match="cannot install cilium with helmfile") as caught:
        action.act()

    assert caught.value.row is not None
    assert caught.value.row.id == "FL-055"
    assert not is_retried(caught.value)


def test_a_restarting_api_server_is_a_retryable_failure():
    _, action = install(CILIUM, sync=captured("helm-list-api-down"))

    with pytest.raises(ToolFailed) as caught:
        action.act()

    assert is_retried(caught.value)


def test_a_cluster_that_rejects_the_credentials_is_not_retried(
    api: ApiServer, kubernetes: Kubernetes
):
    _, helm, _, helmfile = cluster_with()
    api.special[SECRETS.path()] = lambda handler: handler.status(401, "Unauthorized")
    held = HelmRecords(kubernetes)

    with pytest.raises(ApiRefused, match="the API server said 401") as caught:
        install_release(helmfile, helm, held, kubernetes, CLUSTER, CILIUM).need()

    assert not is_retried(caught.value)


def test_helm_times_out_before_we_terminate_it():
    """If it is terminated, it leaves an incomplete release and reports nothing."""
    timeouts = [
        int(line.split(":")[1])
        for path in (CHECKOUT / "bootstrap").glob("*/helmfile.d/*")
        for line in path.read_text().splitlines()
        if line.strip().startswith("timeout:")
    ]

    assert timeouts
    assert max(timeouts) + 30 <= SYNC_S


def crds(
    tmp_path: Path,
    version: str,
    *rows: Row,
    missing: str = "",
    kubernetes: Kubernetes = NO_CLUSTER,
    **how: Any,
):
    """Return the action for charts of a version, with these releases installed."""
    names = [name for name in CLUSTER.crd_releases if name != missing]
    listing = []
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Chart.yaml").write_text(f"name: {name}\nversion: {version}\n")
        listing.append(
            {"name": name, "namespace": "kube-system", "chart": str(folder), "version": ""}
        )
    runner, helm, held, helmfile = cluster_with(*rows, **how)
    script = runner.script
    runner.script = lambda argv: (
        Said(json.dumps(listing)) if "--skip-charts" in argv else script(argv)
    )
    return runner, apply_crds(helmfile, helm, held, kubernetes, CLUSTER)


def crd_rows(version: str, **changes: Any) -> list[Row]:
    return [row(name, **{"chart": f"{name}-{version}", **changes}) for name in CLUSTER.crd_releases]


def test_crds_of_the_right_version_are_not_applied_again(tmp_path: Path):
    _, action = crds(tmp_path, "1.18.5", *crd_rows("1.18.5"))

    assert action.need() is None


def test_a_crd_that_was_deleted_is_applied_again(
    tmp_path: Path, api: ApiServer, kubernetes: Kubernetes
):
    holding(api, POOLS)
    runner, action = crds(
        tmp_path, "1.18.5", *crd_rows("1.18.5"), kubernetes=kubernetes, manifests=BROUGHT
    )

    assert action.need() == f"the cluster lacks {IDENTITIES}, which gateway-api-crds brought"
    action.act()

    assert ["uninstall" in line for line in runner.changed] == [False], "its objects would go too"


def test_crds_of_an_older_chart_are_applied_again(tmp_path: Path):
    _, action = crds(tmp_path, "1.18.6", *crd_rows("1.18.5"))

    assert (
        action.need() == "gateway-api-crds is gateway-api-crds-1.18.5, not gateway-api-crds-1.18.6"
    )


def test_crds_in_another_namespace_are_not_ours(tmp_path: Path):
    _, action = crds(tmp_path, "1.18.5", *crd_rows("1.18.5", namespace="default"))

    assert action.need() == "gateway-api-crds is not installed"


def test_incomplete_crd_releases_are_repaired_first(tmp_path: Path):
    runner, action = crds(tmp_path, "1.18.5", *crd_rows("1.18.5", status="pending-install"))

    action.act()

    assert [line.split(" --namespace")[0].split()[-1] for line in runner.changed[:-1]] == list(
        CLUSTER.crd_releases
    )
    assert runner.changed[-1].endswith(
        "00-crds.yaml --kube-context admin@infra --no-color sync --hide-notes"
    )


def test_a_crd_release_that_helmfile_does_not_know_is_named(tmp_path: Path):
    _, action = crds(tmp_path, "1.18.5", missing="cilium-crds")

    with pytest.raises(
        ActionFailed,
        match=r"cannot apply the CRDs: 00-crds\.yaml has no release cilium-crds",
    ):
        action.need()


def test_helmfile_lists_the_releases_of_the_definition():
    assert {release["name"] for release in CAPTURED["helmfile-list-crds"]["expected"]} == set(
        CLUSTER.crd_releases
    )
