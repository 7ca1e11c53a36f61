"""Diagnostics are bounded, masked and never raise; missing parts are reported."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from firstlight.checklist import Capability
from firstlight.diagnostics.archive import ENTRY_BYTES_MAX, KEPT, cut
from firstlight.masking import MASK, Masker
from firstlight.tools.objects import name_of
from tests.conditions.objects import item, leaving, pod
from tests.definitions import CHECKOUT
from tests.diagnostics.programs import SERVICES, Workstation, unpacked
from tests.waiting import until


@pytest.fixture
def workstation(tmp_path: Path) -> Workstation:
    return Workstation(tmp_path / "workstation")


def test_unready_pods_have_descriptions_and_logs_also_from_before_a_restart(
    workstation: Workstation,
):
    workstation.kubectl()

    files = unpacked(workstation.collect(workstation.failure("40-apps")))

    described = [name for name in files if name.startswith("kubernetes/describe-pods")]
    logs = [name for name in files if name.startswith("kubernetes/logs")]
    assert len(described) == 1
    assert len(logs) == 2
    assert all(".." not in name.split("/") for name in files)
    assert any("--previous" in call for call in workstation.calls)
    assert not any("well" in call for call in workstation.calls)
    assert "kubernetes/events.txt" in files


@pytest.mark.parametrize(
    ("kind", "unready"),
    [
        ("pods", leaving(pod("leaving"))),
        # Its pods are ready, but one still has the old template.
        (
            "daemonsets",
            item(
                "rolling",
                "x",
                observedGeneration=1,
                desiredNumberScheduled=2,
                numberReady=2,
                updatedNumberScheduled=1,
            ),
        ),
        (
            "deployments",
            item(
                "unseen",
                "x",
                spec={"replicas": 1},
                generation=2,
                observedGeneration=1,
                readyReplicas=1,
                updatedReplicas=1,
            ),
        ),
    ],
    ids=["leaving", "rolling out", "not seen yet"],
)
def test_unready_objects_are_described(
    workstation: Workstation, kind: str, unready: dict[str, object]
):
    listing = json.dumps({"items": [unready]})
    workstation.program(
        "kubectl",
        f"print(({listing!r} if {kind!r} in words else '{{\"items\": []}}') if 'json' in words else 'said')",  # noqa: E501
    )

    workstation.collect(workstation.failure("50-flux"))

    assert [call[-2:] for call in workstation.calls if "describe" in call] == [
        [kind, name_of(unready)]
    ]


def test_all_commands_are_read_only(workstation: Workstation):
    workstation.kubectl()
    workstation.program(
        "talosctl",
        f"print({SERVICES!r}.format(node=words[3])) if words[-1] == 'services' else print('said')",
    )

    for stage in (
        "10-talos",
        "20-kubernetes",
        "30-crds",
        "40-apps",
        "50-flux",
        "60-flux-health",
        "70-cilium",
    ):
        workstation.collect(workstation.failure(stage))

    looks = {
        "get",
        "describe",
        "logs",
        "list",
        "history",
        "status",
        "check",
        "services",
        "dmesg",
        "exec",
    }
    assert workstation.calls
    assert [call for call in workstation.calls if not looks & set(call)] == []
    assert {
        word
        for call in workstation.calls
        if "exec" in call
        for word in call[call.index("--") + 1 :]
    } == {"cilium-dbg", "status", "--verbose"}
    assert not any("secrets" in call or "values" in call for call in workstation.calls)


def test_every_command_for_the_cluster_names_its_kubeconfig(workstation: Workstation):
    workstation.kubectl()

    for stage in ("40-apps", "60-flux-health", "70-cilium"):
        workstation.collect(workstation.failure(stage))

    assert {call[0] for call in workstation.calls} == {"kubectl", "helm", "flux", "cilium"}
    assert {tuple(call[1:3]) for call in workstation.calls} == {
        ("--kubeconfig", str(workstation.home / ".kube" / "k8s-ops-infra"))
    }


def test_the_values_of_a_release_are_never_included(workstation: Workstation):
    unready = '{"items": [{"metadata": {"namespace": "web", "name": "web"}, "spec": {"replicas": 1, "values": {"password": "known-to-nobody"}}}]}'  # noqa: E501
    workstation.program(
        "kubectl",
        f"print({unready!r} if 'json' in words else 'Values: known-to-nobody' if 'describe' in words else '')",  # noqa: E501
    )

    files = unpacked(workstation.collect(workstation.failure("60-flux-health")))

    described = [call for call in workstation.calls if "describe" in call]
    assert {call[call.index("describe") + 1].partition(".")[0] for call in described} > {
        "kustomizations",
        "deployments",
    }
    assert not any(word.startswith("helmreleases") for call in described for word in call)
    assert "helmreleases.helm.toolkit.fluxcd.io" in files["flux/helmreleases.txt"].splitlines()[0]
    assert ".status.conditions[*].message" in files["flux/helmreleases.txt"].splitlines()[0]


def test_without_a_kubeconfig_only_the_machines_are_asked(
    workstation: Workstation,
):
    (workstation.home / ".kube" / "k8s-ops-infra").unlink()

    readmes = [
        unpacked(workstation.collect(workstation.failure(stage)))["README.txt"]
        for stage in ("20-kubernetes", "30-crds", "70-cilium")
    ]
    asked = {call[0] for call in workstation.calls}
    machines_alone = unpacked(workstation.collect(workstation.failure("10-talos")))["README.txt"]

    assert asked == {"talosctl"}
    assert [
        text.count("NOT COLLECTED: there is no kubeconfig at")
        for text in (*readmes, machines_alone)
    ] == [1, 1, 1, 0]


def test_without_running_containers_missing_logs_are_explained(workstation: Workstation):
    workstation.kubectl()

    files = unpacked(
        workstation.collect(workstation.failure("40-apps", lacks=(Capability.RUNNING_PODS,)))
    )

    assert not any("logs" in call for call in workstation.calls)
    assert (
        "kubernetes/logs  NOT COLLECTED: pods are simulated by KWOK here: no container runs, so none can answer"  # noqa: E501
        in files["README.txt"]
    )


def test_only_the_machines_that_an_error_names_are_asked(workstation: Workstation):
    workstation.program(
        "talosctl",
        f"print({SERVICES!r}.format(node=words[3])) if words[-1] == 'services' else print('said')",
    )

    files = unpacked(
        workstation.collect(
            workstation.failure(
                "10-talos", "etcd on infra-cp-2 is Failed; 10.25.11.14 says nothing"
            )
        )
    )

    assert {call[call.index("--nodes") + 1] for call in workstation.calls} == {
        "10.25.11.12",
        "10.25.11.14",
    }
    assert {name for name in files if name.startswith("talos/infra-cp-2/")} == {
        f"talos/infra-cp-2/{name}"
        for name in (
            "services.txt",
            "machinestatus.yaml",
            "logs-etcd.txt",
            "logs-machined.txt",
            "logs-kubelet.txt",
            "dmesg.txt",
        )
    }
    assert "talos/infra-cp-1  NOT COLLECTED: the errors name other machines" in files["README.txt"]


def test_an_unreachable_machine_is_asked_once(workstation: Workstation):
    workstation.program("talosctl", "sys.exit('connection refused')")

    files = unpacked(workstation.collect(workstation.failure("10-talos", "infra-cp-1 is down")))

    assert len(workstation.calls) == 1
    assert "connection refused" in files["talos/infra-cp-1/services.txt"]
    assert "talos/infra-cp-1  NOT COLLECTED" in files["README.txt"]


def test_machines_are_asked_concurrently(
    workstation: Workstation,
):
    all_asked = f"open({str(workstation.root / 'calls')!r}).read().count('services') >= 6"
    workstation.program(
        "talosctl",
        f"ends = time.monotonic() + 5\nwhile not {all_asked}:\n    time.sleep(0.05) if time.monotonic() < ends else sys.exit('alone')",  # noqa: E501
    )

    files = unpacked(workstation.collect(workstation.failure("10-talos")))

    texts = [text for name, text in files.items() if name.endswith("/services.txt")]
    assert len(texts) == 6
    assert not any("alone" in text for text in texts)


def test_preflight_asks_machines_only_if_a_failed_criterion_needs_them(workstation: Workstation):
    workstation.program("talosctl", "sys.exit('connection refused')")

    signed_out = unpacked(
        workstation.collect(workstation.failure("00-preflight", "nobody is signed in"))
    )
    calls = list(workstation.calls)
    unpacked(
        workstation.collect(
            workstation.failure("00-preflight", "infra-cp-1 is down", needs=("talos-api",))
        )
    )

    assert calls == []
    assert "cluster  NOT COLLECTED" in signed_out["README.txt"]
    assert "nobody is signed in" in signed_out["errors.txt"]
    assert [call[0] for call in workstation.calls] == ["talosctl"]


def test_a_command_that_hangs_is_limited_and_reported(
    workstation: Workstation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("firstlight.process.TERMINATE_WAIT_S", 0.2)
    workstation.program(
        "kubectl",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('half', flush=True); time.sleep(600)",  # noqa: E501
    )
    started_s = time.monotonic()

    collected = workstation.collect(workstation.failure("30-crds"), longest_s=1.0)

    assert time.monotonic() - started_s < 1.0 + 10.0 + 5.0
    assert collected.trouble == "it was ended after 1 s"
    files = unpacked(collected)
    assert "NOT WHOLE: it was ended after 1 s" in files["README.txt"]
    assert "half" in files["kubernetes/crds.txt"]
    assert "no answer within" in files["README.txt"]
    assert "errors.txt" in files


def test_a_hundred_megabytes_of_output_are_cut(
    workstation: Workstation,
):
    workstation.program(
        "kubectl", "for _ in range(100):\n    print(('line ' * 100 + chr(10)) * 2000)"
    )
    started_s = time.monotonic()

    collected = workstation.collect(workstation.failure("30-crds"))

    files = unpacked(collected)
    assert time.monotonic() - started_s < 60
    assert collected.trouble == ""
    assert len(files["kubernetes/crds.txt"]) < ENTRY_BYTES_MAX + 200
    assert "bytes are left out here" in files["kubernetes/crds.txt"]
    assert collected.size_bytes < 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(1)",
        "sys.stdout.buffer.write(bytes(range(256)) * 100)",
        "print('[1, 2')",
        "print('{\"items\": 7}')",
    ],
)
def test_whatever_a_command_prints_there_is_an_archive(workstation: Workstation, body: str):
    for name in ("kubectl", "helm", "flux", "talosctl", "cilium"):
        workstation.program(name, body)

    for stage in ("10-talos", "40-apps", "50-flux", "70-cilium"):
        collected = workstation.collect(workstation.failure(stage))

        assert collected.trouble == "", body
        assert "errors.txt" in unpacked(collected)


def test_a_missing_tool_is_reported_and_the_rest_is_collected(workstation: Workstation):
    workstation.kubectl()
    (workstation.programs / "helm").unlink()

    files = unpacked(workstation.collect(workstation.failure("40-apps")))

    assert "cannot find helm" in files["README.txt"]
    assert "kubernetes/pods.txt" in files


PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAoAoGCCqGSM49\n-----END EC PRIVATE KEY-----\n"  # noqa: E501


def test_the_archive_contains_no_secret_known_or_of_a_known_shape(workstation: Workstation):
    known = "standin-0123456789abcdef0123456789abcdef"
    printed = f"print({known!r}); print({PEM!r}); print('AGE-SECRET-KEY-1QQQQQQ'); print({known!r}, file=sys.stderr)"  # noqa: E501
    for name in ("kubectl", "helm", "talosctl"):
        workstation.program(
            name, f"import base64\n{printed}\nprint(base64.b64encode({known!r}.encode()).decode())"
        )
    (workstation.state / "journal.jsonl").write_text(f'{{"seen": "{known}"}}\n')
    (workstation.state / "a.log").write_text(f"{known}\n" * 20_000 + PEM)

    files = unpacked(
        workstation.collect(
            workstation.failure("20-kubernetes", f"infra-cp-1: {known}"), mask=Masker([known])
        )
    )

    assert len(files) > 8
    for name, text in files.items():
        for secret in (
            known,
            known[8:30],
            "MHcCAQEEII",
            "AGE-SECRET-KEY-1",
            "MDEyMzQ1Njc4OWFiY2RlZj",
        ):
            assert secret not in text, name
    assert MASK in files["journal.jsonl"]


def test_the_archive_is_private_and_the_oldest_ones_are_removed(workstation: Workstation):
    for hour in range(KEPT + 2):
        (workstation.reports / f"diagnostics-20250101T0{hour}0000Z.tar.gz").write_text("old")

    collected = workstation.collect(workstation.failure("90-timing"))

    assert collected.path is not None
    assert collected.path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(collected.path) as archive:
        assert {entry.mode for entry in archive.getmembers()} == {0o600}
        assert {entry.name.split("/")[0] for entry in archive.getmembers()} == {
            collected.path.name.removesuffix(".tar.gz")
        }
    kept = sorted(path.name for path in workstation.reports.iterdir())
    assert len(kept) == KEPT
    assert kept[-1] == collected.path.name


def test_an_archive_that_cannot_be_written_is_reported(workstation: Workstation):
    (workstation.reports).rmdir()
    workstation.reports.write_text("a file where a folder should be")

    collected = workstation.collect(workstation.failure("90-timing"))

    assert collected.path is None
    assert "cannot write diagnostics-" in collected.trouble


def test_a_bug_in_a_collector_is_reported_and_the_rest_is_collected(workstation: Workstation):
    # No API server sends such a pod, and the collector raises on it.
    workstation.kubectl(
        {"items": [{"metadata": {"namespace": "kube-system", "name": "odd"}, "status": "text"}]}
    )

    collected = workstation.collect(workstation.failure("40-apps"))

    files = unpacked(collected)
    assert collected.trouble.startswith("kubernetes: AttributeError")
    assert "kubernetes  NOT COLLECTED: AttributeError" in files["README.txt"]
    assert {"errors.txt", "kubernetes/nodes.txt", "helm/releases.txt"} <= files.keys()


def test_a_full_disk_is_reported_and_leaves_no_partial_archive(workstation: Workstation):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        collected = workstation.collect(workstation.failure("90-timing"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert collected.path is None
    assert collected.trouble.startswith("cannot write diagnostics-")
    assert list(workstation.reports.iterdir()) == []


def test_local_records_are_collected_even_if_nothing_answers(
    workstation: Workstation,
):
    (workstation.state / "logs").mkdir()
    (workstation.state / "logs" / "machines.log").write_text("the machines said")
    for name in ("kubectl", "helm", "talosctl"):
        workstation.program(name, "time.sleep(600)")

    files = unpacked(workstation.collect(workstation.failure("40-apps"), longest_s=1.0))

    assert files["lab/logs-machines.log"] == "the machines said"
    assert "journal.jsonl" in files["README.txt"]


def test_all_logs_of_the_lab_are_collected_except_those_of_an_engine(
    workstation: Workstation,
):
    for place in (
        "logs/git-server.log",
        "kwok/clusters/infra/logs/kube-apiserver.log",
        "engine/data/volumes/x/_data/log/apid.log",
    ):
        (workstation.state / place).parent.mkdir(parents=True)
        (workstation.state / place).write_text(place)

    files = unpacked(workstation.collect(workstation.failure("40-apps")))

    assert {name for name in files if name.startswith("lab/")} == {
        "lab/logs-git-server.log",
        "lab/kwok-clusters-infra-logs-kube-apiserver.log",
    }


def test_a_long_text_keeps_its_beginning_and_end():
    text = cut("a" * 100 + "b" * 1000 + "c" * 100, limit=200)

    assert text.startswith("a" * 50 + "\n... 1000 bytes are left out here")
    assert text.endswith("c" * 100)


INTERRUPTED = """
import sys
from pathlib import Path
from tests.diagnostics.programs import Workstation, unpacked
from tests.waiting import until
from tests.waiting import until
workstation = Workstation(Path(sys.argv[1]))
workstation.program("kubectl", "import os; open(sys.argv[0] + '.runs', 'w').write(str(os.getpid())); time.sleep(600)")
print("ready", flush=True)
collected = workstation.collect(workstation.failure("30-crds"))
print(collected.trouble, "errors.txt" in unpacked(collected))
"""  # noqa: E501


def test_ctrl_c_stops_collecting_and_writes_the_archive(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "workstation")]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        runs = tmp_path / "workstation" / "bin" / "kubectl.runs"
        assert until(lambda: runs.exists() and runs.read_text(), within_s=60)
        process.send_signal(signal.SIGINT)
        interrupted_s = time.monotonic()
        said, _ = process.communicate(timeout=30)

    assert time.monotonic() - interrupted_s < 10
    assert said.splitlines()[-1] == "it was interrupted True"
    with pytest.raises(ProcessLookupError):
        os.kill(int(runs.read_text()), 0)
