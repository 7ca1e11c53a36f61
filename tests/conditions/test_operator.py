"""The operator's side, charts and releases: which answers of the tools are final."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.conditions.finish import finished_within, nothing_left_to_do
from firstlight.conditions.operator import (
    PINNED_TOOLS,
    age_key_opens_talos_secrets,
    definition_valid,
    every_command_present,
    every_pinned_tool_present,
    every_reference_resolves,
    kubeconfig_in_1password,
    kubeconfig_usable,
    signed_in_to_1password,
)
from firstlight.conditions.releases import (
    every_chart_resolves,
    every_crd_release_deployed,
    no_unknown_value_keys,
    release_deployed,
    release_has_value,
    releases_installed_in_order,
    same_version,
    values_equal_the_helmreleases,
)
from firstlight.conditions.workloads import cert_manager_webhook_answers
from firstlight.process import ToolFailed
from firstlight.run.retry import is_retried
from firstlight.target.nodes import open_nodes
from firstlight.tools.helm import Helm
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.helmfile import Helmfile
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.op import OnePassword
from firstlight.tools.reading import Unreadable
from firstlight.tools.sops import Sops
from tests.definitions import infra
from tests.tools.helm_secrets import helm_secret, records
from tests.tools.scripted import TIMED_OUT, Said, ScriptedRunner, captured, scripted

CLUSTER = infra()
ALL = [release.name for release in CLUSTER.releases]


def sops(said: Said) -> Sops:
    return Sops(scripted({"sops": said}))


def test_the_signed_in_account_is_the_value_and_a_missing_one_is_final():
    assert signed_in_to_1password(
        OnePassword(scripted({"op whoami": captured("op-whoami-signed-out")}))
    ).title
    with pytest.raises(ToolFailed, match="cannot use 1Password: nobody is signed in") as caught:
        signed_in_to_1password(
            OnePassword(scripted({"op whoami": captured("op-whoami-signed-out")}))
        ).probe()

    assert (is_retried(caught.value), caught.value.next_step) == (
        False,
        "eval $(op signin), then the same command again",
    )
    assert "operator@" in str(
        signed_in_to_1password(
            OnePassword(scripted({"op whoami": Said("URL: x\nEmail: operator@x\n")}))
        )
        .probe()
        .value
    )
    assert (
        signed_in_to_1password(OnePassword(scripted({"op whoami": Said()}))).probe().unsatisfiable
    )


def injecting(values: dict[str, str]) -> ScriptedRunner:
    """Return an op that replaces these references and keeps all others."""

    def script(_: list[str]) -> Said:
        text = str(runner.called[-1].input)
        for reference, value in values.items():
            text = text.replace(reference, value)
        return Said(text)

    runner = ScriptedRunner(script)
    return runner


REFERENCES = sorted(
    {reference.reference for reference in CLUSTER.references}, key=len, reverse=True
)


def test_all_references_resolve_in_one_call_and_are_masked():
    runner = injecting(
        {reference: f"hunter2-{number}\nline-two" for number, reference in enumerate(REFERENCES)}
    )

    seen = every_reference_resolves(OnePassword(runner), CLUSTER).probe()

    assert seen.value == set(REFERENCES)
    assert len(runner.called) == 1
    assert runner.mask("a hunter2-0 b line-two") == "a ******** b ********"


@pytest.mark.parametrize(
    "value", ["", "  \n", "op://k8s-ops/x/y"], ids=["empty", "blank", "unresolved"]
)
def test_a_reference_without_a_value_is_named(value: str):
    values = dict.fromkeys(REFERENCES, "hunter2-hunter2")
    values[REFERENCES[0]] = value

    seen = every_reference_resolves(OnePassword(injecting(values)), CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (True, f"no value for {REFERENCES[0]}")


@pytest.mark.parametrize(
    "failure", ["op-inject-missing-item", "op-inject-bad-reference", "op-inject-signed-out"]
)
def test_a_reference_that_1password_does_not_know_is_final(failure: str):
    with pytest.raises(ToolFailed, match="cannot inject secrets from 1Password") as caught:
        every_reference_resolves(
            OnePassword(scripted({"op inject": captured(failure)})), CLUSTER
        ).probe()

    assert not is_retried(caught.value)


def test_an_exhausted_quota_is_retried():
    limited = Said(
        stderr="[ERROR] 2026/11/23 07:32:00 Too many requests. Your client has been rate-limited.",
        exit_code=1,
    )

    with pytest.raises(ToolFailed) as caught:
        every_reference_resolves(OnePassword(scripted({"op inject": limited})), CLUSTER).probe()

    assert is_retried(caught.value)


def test_the_age_key_opens_the_secrets_without_showing_values():
    seen = age_key_opens_talos_secrets(
        sops(Said("cluster: {id: hunter2}\nsecrets: {a: hunter2}\ncerts: {}\n")), CLUSTER
    ).probe()

    assert seen.value == {"cluster", "secrets", "certs"}
    assert "hunter2" not in seen.seen


def test_talos_secrets_that_lack_a_part_are_final():
    seen = age_key_opens_talos_secrets(sops(Said("cluster: {id: hunter2}\n")), CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "talsecret.sops.yaml has no certs, secrets",
    )


@pytest.mark.parametrize("text", ["hunter2", "- hunter2", ""])
def test_secrets_that_are_not_a_mapping_are_final(text: str):
    seen = age_key_opens_talos_secrets(sops(Said(text)), CLUSTER).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "talsecret.sops.yaml decrypts to something other than a mapping",
    )


def test_secrets_that_are_not_yaml_are_never_quoted():
    with pytest.raises(
        Unreadable,
        match=r"cannot read what talsecret\.sops\.yaml decrypts to: it is not valid YAML",
    ) as caught:
        age_key_opens_talos_secrets(sops(Said("hunter2: hunter2: [")), CLUSTER).probe()

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "failure",
    [
        "sops-no-key-file",
        "sops-other-key",
        "sops-garbage-key",
        "sops-not-encrypted",
        "sops-tampered",
        "sops-missing-file",
    ],
)
def test_a_key_that_does_not_open_the_secrets_is_final(failure: str):
    with pytest.raises(ToolFailed, match=r"cannot decrypt talsecret\.sops\.yaml") as caught:
        age_key_opens_talos_secrets(sops(captured(failure)), CLUSTER).probe()

    assert not is_retried(caught.value)
    assert "SOPS_AGE_KEY_FILE" in caught.value.next_step


def test_the_kubeconfig_in_1password_equals_the_one_on_disk(tmp_path: Path):
    path = tmp_path / "k"
    condition = kubeconfig_in_1password(
        OnePassword(
            scripted(
                {
                    "op document get": [
                        Said("other"),
                        captured("op-document-missing"),
                        Said("ours\n"),
                    ]
                }
            )
        ),
        CLUSTER,
        path,
    )
    assert condition.probe().seen == f"there is no kubeconfig at {path}"
    path.write_text("ours")

    seen = [condition.probe() for _ in range(3)]

    assert [(each.holds, each.unsatisfiable) for each in seen] == [
        (False, True),
        (False, False),
        (True, False),
    ]


def helm(answers: dict[str, Any]) -> Helm:
    return Helm(scripted(answers), Path("kubeconfig"), CLUSTER.context)


def test_a_release_is_deployed_if_helm_records_it_so():
    found = records(
        helm_secret("cilium", chart="cilium-1.18.5", revision=2),
        helm_secret("spegel", chart="spegel-0.4.0", revision=2),
        helm_secret("spegel", chart="spegel-0.4.0", revision=3, status="pending-upgrade"),
    )

    assert (
        release_deployed(found, "cilium", "kube-system").probe().seen
        == "cilium: deployed, cilium-1.18.5, revision 2"
    )
    assert (
        release_deployed(found, "spegel", "kube-system").probe().seen
        == "spegel: pending-upgrade, spegel-0.4.0, revision 3"
    )
    assert (
        release_deployed(found, "cilium", "default").probe().seen == "no release cilium in default"
    )


def listed(*releases: tuple[str, str]) -> HelmRecords:
    return records(*(helm_secret(name, status=status) for name, status in releases))


def test_all_crd_releases_are_deployed_or_the_first_that_is_not_is_named():
    first, *others = CLUSTER.crd_releases
    deployed = [(name, "deployed") for name in others]

    assert every_crd_release_deployed(
        listed((first, "deployed"), *deployed), CLUSTER
    ).probe().value == tuple(CLUSTER.crd_releases)
    failed = every_crd_release_deployed(listed((first, "failed"), *deployed), CLUSTER).probe()
    assert (failed.holds, failed.seen) == (False, f"{first}: failed, {first}-1.0.0, revision 1")
    missing = every_crd_release_deployed(listed(*deployed), CLUSTER).probe()
    assert (missing.holds, missing.seen) == (False, f"no release {first} in kube-system")


def test_a_definition_without_releases_meets_no_condition_about_them():
    empty = replace(CLUSTER, crd_releases=(), releases=())

    assert every_crd_release_deployed(listed(), empty).probe().unsatisfiable
    assert no_unknown_value_keys(charts(), empty).probe().unsatisfiable


def at(*times: str) -> HelmRecords:
    return records(
        *(
            helm_secret(
                release.name,
                namespace=release.namespace,
                first_deployed=f"2026-11-23T{time}.123456789Z",
            )
            for release, time in zip(CLUSTER.releases, times, strict=True)
        )
    )


@pytest.mark.parametrize(
    ("values", "holds", "seen"),
    [
        ({"k8sServiceHost": "10.25.11.10"}, True, "k8sServiceHost of cilium is 10.25.11.10"),
        (
            {"k8sServiceHost": "localhost"},
            False,
            "k8sServiceHost of cilium is localhost, not 10.25.11.10",
        ),
        ({}, False, "k8sServiceHost of cilium is unset, not 10.25.11.10"),
    ],
    ids=["the VIP", "another host", "unset"],
)
def test_a_release_has_a_value_if_it_was_installed_with_it(
    values: dict[str, str], holds: bool, seen: str
):
    installed = records(helm_secret("cilium", values=dict(values)))

    observation = release_has_value(
        installed, "cilium", "kube-system", "k8sServiceHost", str(CLUSTER.vip)
    ).probe()

    assert (observation.holds, observation.unsatisfiable) == (holds, not holds)
    assert observation.seen == seen


def test_the_order_of_installation_is_read_from_the_records_of_helm():
    seen = releases_installed_in_order(
        at("07:30:01", "07:30:02", "07:30:03", "07:31:04", "07:31:05"), CLUSTER
    ).probe()

    assert seen.value == tuple(ALL)


def test_a_different_order_is_named():
    seen = releases_installed_in_order(
        at("07:30:01", "07:30:03", "07:30:02", "07:31:04", "07:31:05"), CLUSTER
    ).probe()

    assert seen.unsatisfiable
    assert seen.seen.startswith(f"{ALL[0]} 07:30:01 -> {ALL[2]} 07:30:02 -> {ALL[1]} 07:30:03")


def test_an_upgrade_by_flux_does_not_change_the_order():
    """Helm keeps only a few revisions, but in each the time of the first deployment."""
    first = "2026-11-23T13:35:22.417183Z"
    found = records(
        *(
            helm_secret("spegel", status=status, revision=number, first_deployed=first)
            for number, status in enumerate(("superseded", "deployed"), 12)
        )
    )

    assert f"{found.first_deployed('spegel', 'kube-system'):%H:%M:%S}" == "13:35:22"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("v1.19.2", "1.19.2", True), ("1.19.2", "1.19.2", True), ("1.19.2", "1.19.3", False)],
)
def test_a_leading_v_does_not_make_a_version_different(first: str, second: str, same: bool):
    assert same_version(first, second) is same


def charts(version: str = "") -> Helm:
    def script(argv: list[str]) -> Said:
        wanted = argv[argv.index("--version") + 1]
        return (
            Said(f"name: x\nversion: {version or wanted}\n")
            if argv[2] == "chart"
            else Said("a: 1\n")
        )

    return Helm(ScriptedRunner(script), Path("k"), "c")


def test_charts_resolve_in_exactly_their_version():
    assert every_chart_resolves(charts(), CLUSTER).probe().holds
    assert (
        every_chart_resolves(charts("0.0.1"), CLUSTER)
        .probe()
        .seen.startswith(f"cilium is served as 0.0.1, not {CLUSTER.release('cilium').version}")
    )


def test_all_charts_are_asked_for_at_the_same_time():
    together = threading.Barrier(len(CLUSTER.releases), timeout=5)
    helm, show = charts(), charts()._runner.run

    def met(*words: Any, **how: Any) -> Any:
        together.wait()
        return show(*words, **how)

    helm._runner.run = met  # type: ignore[method-assign]

    assert every_chart_resolves(helm, CLUSTER).probe().holds
    assert no_unknown_value_keys(helm, CLUSTER).probe().value != 0


@pytest.mark.parametrize("failure", ["helm-show-missing", "helm-show-repo-missing"])
def test_a_chart_that_is_not_served_is_final(failure: str):
    with pytest.raises(ToolFailed, match="cannot resolve chart") as caught:
        every_chart_resolves(helm({"show": captured(failure)}), CLUSTER).probe()

    assert not is_retried(caught.value)


def test_a_value_that_its_chart_does_not_know_is_named():
    seen = no_unknown_value_keys(charts(), CLUSTER).probe()

    assert seen.unsatisfiable
    assert "cilium: " in seen.seen


class Listing(Helmfile):
    """A helmfile that matches the definition, except for the changes of a test."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(scripted({}), Path("bootstrap"), Path("k"), "c")
        self._changes = changes

    def releases(self, file: str) -> list[dict[str, Any]]:
        listed = [
            {
                "name": each.name,
                "namespace": each.namespace,
                "chart": f"x/{each.chart}",
                "version": each.version,
            }
            for each in CLUSTER.releases
        ]
        return [
            {**row, **self._changes.get(str(row["name"]), {})}
            for row in listed
            if self._changes.get(str(row["name"]), {}) is not None
        ]

    def values(self, file: str) -> dict[str, dict[str, Any]]:
        return {each.name: dict(each.values) for each in CLUSTER.releases}


def test_differences_between_helmfile_and_the_helmreleases_are_named():
    assert values_equal_the_helmreleases(Listing(), CLUSTER).probe().value == tuple(ALL)
    assert (
        values_equal_the_helmreleases(Listing(cilium=None), CLUSTER).probe().seen
        == "helmfile has no release cilium"
    )
    assert (
        "1.0.0"
        in values_equal_the_helmreleases(Listing(cilium={"version": "1.0.0"}), CLUSTER).probe().seen
    )


@pytest.mark.parametrize(
    ("said", "holds", "unsatisfiable"),
    [
        (captured("kubectl-create-no-matches"), False, True),
        (
            Said(
                stderr=(
                    "Error from server (InternalError): Internal error occurred: failed "
                    'calling webhook "webhook.cert-manager.io": x509: certificate signed by '
                    "unknown authority"
                ),
                exit_code=1,
            ),
            False,
            False,
        ),
        (captured("kubectl-no-quorum"), False, False),
        (captured("kubectl-unauthorized"), False, True),
        (Said(stderr="Error from server (Forbidden): no", exit_code=1), False, True),
        (TIMED_OUT, False, False),
        (Said("issuer.cert-manager.io/x created (server dry run)\n"), True, False),
    ],
    ids=[
        "no CRD",
        "no certificate yet",
        "API down",
        "unauthorized",
        "forbidden",
        "timed out",
        "accepted",
    ],
)
def test_the_webhook_answers_is_retried_or_fails_for_good(
    said: Said, holds: bool, unsatisfiable: bool
):
    seen = cert_manager_webhook_answers(
        Kubectl(scripted({"kubectl": said}), Path("k"), "c")
    ).probe()

    assert (seen.holds, seen.unsatisfiable) == (holds, unsatisfiable)


def test_a_bootstrap_is_within_its_budget_or_the_reason_is_named():
    assert (
        finished_within("50-flux", 843.0, why="", budget_s=1800).probe().seen
        == "14 m 03 s of 30 m 00 s"
    )
    assert finished_within("50-flux", 1800.0, why="", budget_s=1800).probe().unsatisfiable
    assert (
        finished_within("50-flux", None, why="every-node-is-ready has not been met", budget_s=1800)
        .probe()
        .seen
        == "every-node-is-ready has not been met"
    )


def test_nothing_is_left_to_do_if_no_action_is_needed():
    class Done:
        title = "install cilium"

    assert nothing_left_to_do([Done()], lambda _: None).probe().value == 1
    assert (
        nothing_left_to_do([Done()], lambda _: "it is gone").probe().seen
        == "install cilium, because it is gone"
    )
    assert nothing_left_to_do([], lambda _: None).probe().unsatisfiable


def test_the_definition_is_valid_if_it_loads_unchanged_with_every_other_one(
    monkeypatch: pytest.MonkeyPatch,
):
    assert definition_valid(CLUSTER.root, CLUSTER).probe().value == ("apps", "infra")

    changed = definition_valid(CLUSTER.root, replace(CLUSTER, talos_version="v1.11.5")).probe()
    monkeypatch.setattr("firstlight.conditions.operator.load_all", lambda _: (CLUSTER,))
    incomplete = definition_valid(CLUSTER.root, CLUSTER).probe()

    assert (changed.unsatisfiable, changed.seen) == (
        True,
        "the definition of infra changed since this run started",
    )
    assert (incomplete.unsatisfiable, incomplete.seen) == (
        True,
        "loaded infra, but clusters/ has apps, infra",
    )


@dataclass(frozen=True)
class Found:
    tool: str
    version: str = "1.0.0"
    source: str = "wheel"
    problem: str = ""


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        (sorted(PINNED_TOOLS), ""),
        ([], "tools/versions.toml does not pin flux, helm, helmfile, kubectl, sops, talosctl"),
        (sorted(PINNED_TOOLS - {"flux"}), "tools/versions.toml does not pin flux"),
    ],
    ids=["all", "none", "one is missing"],
)
def test_every_tool_of_the_story_is_pinned_and_present(
    monkeypatch: pytest.MonkeyPatch, tools: list[str], problem: str
):
    monkeypatch.setattr(
        "firstlight.conditions.operator.check", lambda _: tuple(Found(tool) for tool in tools)
    )

    seen = every_pinned_tool_present(CLUSTER.root).probe()

    assert (seen.holds, seen.unsatisfiable) == (not problem, bool(problem))
    assert seen.seen == (problem or "6 tools")


def test_a_tool_that_is_not_in_its_version_is_named(monkeypatch: pytest.MonkeyPatch):
    tools = tuple(
        Found(tool, problem="helm 3.0.0 is not 4.0.0" if tool == "helm" else "")
        for tool in sorted(PINNED_TOOLS)
    )
    monkeypatch.setattr("firstlight.conditions.operator.check", lambda _: tools)

    assert every_pinned_tool_present(CLUSTER.root).probe().seen == "helm 3.0.0 is not 4.0.0"


def test_commands_that_are_not_on_path_are_named(tmp_path: Path):
    for name in ("git", "op"):
        (tmp_path / name).touch(mode=0o755)
    target = open_nodes("infra", CLUSTER.root)
    target = replace(target, environment={**target.environment, "PATH": str(tmp_path)})

    missing = every_command_present(target).probe()
    for name in ("ssh", "cilium"):
        (tmp_path / name).touch(mode=0o755)

    assert (missing.unsatisfiable, missing.seen) == (
        True,
        "ssh, cilium not on PATH; install what is missing",
    )
    assert every_command_present(target).probe().holds


def test_a_kubeconfig_is_usable_or_says_what_is_wrong(tmp_path: Path):
    path = tmp_path / "k8s-ops-infra"
    missing = kubeconfig_usable(path, CLUSTER).probe()
    path.write_text(
        yaml.safe_dump(
            {
                "contexts": [{"name": CLUSTER.context, "context": {"cluster": "infra"}}],
                "clusters": [{"name": "infra", "cluster": {"server": CLUSTER.endpoint}}],
            }
        )
    )
    path.chmod(0o644)
    readable = kubeconfig_usable(path, CLUSTER).probe()
    path.chmod(0o600)

    assert (missing.unsatisfiable, missing.seen) == (True, f"{path} does not exist")
    assert (readable.unsatisfiable, readable.seen) == (True, f"{path} has mode 0644, not 0600")
    assert kubeconfig_usable(path, CLUSTER).probe().value == path
