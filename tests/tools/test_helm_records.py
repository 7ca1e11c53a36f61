"""Helm's records, from the Secrets in which Helm keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.run.retry import is_retried
from firstlight.tools.helm_records import HelmRecords, decode
from firstlight.tools.kubernetes import METADATA, Kubernetes
from firstlight.tools.objects import SECRETS
from firstlight.tools.reading import Unreadable
from tests.definitions import infra
from tests.tools.apiserver import serving, write_kubeconfig
from tests.tools.helm_secrets import HeldSecrets, helm_secret, packed, records
from tests.tools.scripted import CAPTURED, captured

CRDS = captured("helm-get-manifests").stdout
"""What Helm 3 printed of a release with one CRD as a template and one in `crds/`."""


def test_only_the_newest_revision_of_each_release_is_listed():
    found = records(
        helm_secret("cilium", status="superseded", revision=9),
        helm_secret("cilium", status="failed", revision=10),
        helm_secret("cilium", namespace="staging"),
        helm_secret("coredns"),
    ).releases()

    assert [(each.name, each.namespace, each.status, each.revision) for each in found] == [
        ("cilium", "kube-system", "failed", 10),
        ("cilium", "staging", "deployed", 1),
        ("coredns", "kube-system", "deployed", 1),
    ]


def test_listing_releases_decodes_none_of_them():
    cluster = HeldSecrets(helm_secret("cilium"), helm_secret("coredns"))

    HelmRecords(cluster).releases()

    assert cluster.read == []


def test_a_record_is_decoded_once_until_it_changes():
    cluster = HeldSecrets(helm_secret("cilium", values={"a": 1}), helm_secret("coredns"))
    known = HelmRecords(cluster)

    seen = [known.values("cilium", "kube-system") for _ in range(2)]
    cluster.secrets[0] = helm_secret("cilium", status="failed", values={"a": 2})
    seen.append(known.values("cilium", "kube-system"))

    assert seen == [{"a": 1}, {"a": 1}, {"a": 2}]
    assert cluster.read == ["sh.helm.release.v1.cilium.v1"] * 2


def test_a_record_holds_chart_values_and_the_time_of_the_first_deployment():
    found = records(
        helm_secret("flux", namespace="flux-system", chart="flux2-2.17.2", values={"a": {"b": 1}})
    )

    release = found.find("flux", "flux-system")

    assert release is not None
    assert found.chart(release) == "flux2-2.17.2"
    assert found.values("flux", "flux-system") == {"a": {"b": 1}}
    assert f"{found.first_deployed('flux', 'flux-system'):%H:%M:%S.%f}" == "07:30:01.123456"


def test_a_release_without_values_has_none():
    assert records(helm_secret("cilium")).values("cilium", "kube-system") == {}


def test_the_crds_of_a_release_are_templates_and_files_of_its_chart():
    template, file = CRDS.split("\n---\n", 1) if CRDS.count("\n---\n") == 1 else (CRDS, "")
    found = records(helm_secret("cilium", manifest=template, crds=file))

    assert list(found.crds("cilium", "kube-system")) == CAPTURED["helm-get-manifests"]["expected"]


@pytest.mark.parametrize(
    ("statuses", "revision"),
    [
        (["pending-install"], None),
        (["failed", "pending-upgrade"], None),
        (["superseded", "deployed", "pending-upgrade"], 2),
        (["deployed", "failed", "pending-upgrade"], 1),
    ],
)
def test_the_last_good_revision_was_deployed_once(statuses: list[str], revision: int | None):
    found = records(
        *(
            helm_secret("cilium", status=status, revision=number)
            for number, status in enumerate(statuses, 1)
        ),
        helm_secret("cilium", namespace="staging", revision=7),
    )
    release = found.find("cilium", "kube-system")

    assert release is not None
    assert found.last_good_revision(release) == revision


@pytest.mark.parametrize("moment", ["", "soon"])
def test_a_record_that_does_not_say_when_it_was_first_deployed_is_an_error(moment: str):
    with pytest.raises(Unreadable, match="it does not say when it was first deployed"):
        records(helm_secret("x", first_deployed=moment)).first_deployed("x", "kube-system")


def test_a_release_that_does_not_exist_has_no_record():
    with pytest.raises(Unreadable, match=r"cannot read the record of release x: it does not exist"):
        records(helm_secret("x", namespace="other")).values("x", "kube-system")


@pytest.mark.parametrize(
    "release",
    ["", "not base64", packed([1]), packed({})[:-8], packed({"config": [1]})],
    ids=["empty", "another text", "another shape", "cut off", "values that are a list"],
)
def test_a_record_in_another_format_is_an_error_and_never_an_empty_one(release: str):
    secret = helm_secret("cilium")
    secret["data"]["release"] = release

    with pytest.raises(Unreadable, match="cannot read the record of a release") as caught:
        records(secret).values("cilium", "kube-system")

    assert is_retried(caught.value)


def test_a_secret_of_somebody_else_is_not_a_record():
    with pytest.raises(Unreadable, match="it does not have Helm's format"):
        decode({"metadata": {"name": "x"}})


def test_the_api_server_sends_only_metadata_for_a_list(tmp_path: Path):
    with serving() as api:
        accepted: list[str] = []
        api.special[SECRETS.path()] = lambda handler: (
            accepted.append(handler.headers["Accept"]),
            handler.json(200, {"metadata": {}, "items": []}),
        )[1]
        cluster = Kubernetes(write_kubeconfig(tmp_path / "kubeconfig", api.url), infra().context)

        found = HelmRecords(cluster).releases()

    assert found == ()
    assert accepted == [METADATA]
