"""Streams of events as real runs emit them: good, failed, interrupted, killed, planned, partial."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from firstlight.checklist import Box, CriterionInfo, Stage
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CriterionEnded,
    CriterionStarted,
    Event,
    HintInfo,
    Observed,
    RunEnded,
    RunStarted,
    Stamped,
    StandInInfo,
    Verdict,
    WaitEnded,
    WaitStarted,
)

START = datetime(2026, 11, 23, 7, 32, 4, tzinfo=UTC)
RESUME = "./task rehearse"


def info(
    name: str,
    stage: str,
    acceptance: tuple[str, ...],
    title: str,
    *boxes: int,
    budget_s: float = 60.0,
    needs: tuple[str, ...] = (),
) -> CriterionInfo:
    """Return a criterion's description; boxes are numbered from 1 in the story's order."""
    module = stage.replace("-", "_")
    return CriterionInfo(
        id=name,
        nodeid=f"bootstrap_tests/test_{module}.py::test_{name.replace('-', '_')}",
        acceptance=acceptance,
        title=title,
        task=int(stage[:1]) + 1,
        stage=Stage(stage),
        boxes=tuple(list(Box)[box - 1] for box in boxes),
        budget_s=budget_s,
        anchor=f"docs/runbooks/bootstrap.md#{name}",
        needs=needs,
    )


CRITERIA = (
    info(
        "tools-are-at-the-pinned-versions",
        "00-preflight",
        ("AC1",),
        "every tool is at its pinned version",
    ),
    info(
        "every-node-answers-on-50000", "00-preflight", ("AC1",), "every node answers on port 50000"
    ),
    info(
        "etcd-is-bootstrapped-once",
        "10-talos",
        ("AC1",),
        "etcd is bootstrapped exactly once",
        1,
        budget_s=120,
    ),
    info(
        "etcd-runs-on-every-control-plane-node",
        "10-talos",
        ("AC1",),
        "etcd runs on every control plane node",
        1,
        budget_s=300,
    ),
    info(
        "the-kubeconfig-is-generated", "20-kubernetes", ("AC2",), "the kubeconfig is generated", 2
    ),
    info(
        "the-kubeconfig-is-in-1password",
        "20-kubernetes",
        ("AC2",),
        "the kubeconfig is pushed to 1Password",
        2,
    ),
    info(
        "every-crd-is-established",
        "30-crds",
        ("AC3",),
        "all seven CRDs are established",
        3,
        budget_s=120,
    ),
    info(
        "cilium-is-deployed",
        "40-apps",
        ("AC3", "AC6"),
        "Cilium is deployed with cluster.id 1",
        4,
        13,
        budget_s=600,
    ),
    info(
        "coredns-resolves",
        "40-apps",
        ("AC3",),
        "CoreDNS runs and resolves cluster DNS",
        5,
        budget_s=300,
        needs=("pod-network",),
    ),
    info(
        "spegel-runs-on-every-node",
        "40-apps",
        ("AC3",),
        "Spegel runs on every node",
        6,
        budget_s=300,
    ),
    info(
        "cert-manager-answers",
        "40-apps",
        ("AC3",),
        "cert-manager's webhook answers a dry-run <Issuer>",
        7,
        14,
        budget_s=300,
    ),
    info("flux-is-deployed", "40-apps", ("AC3",), "Flux is deployed", 8, budget_s=300),
    info(
        "the-git-repository-is-ready",
        "50-flux",
        ("AC4",),
        "the GitRepository is Ready at the remote's head",
        11,
        budget_s=120,
    ),
    info("flux-check-passes", "60-flux-health", ("AC5",), "`flux check` passes", 9, budget_s=120),
    info(
        "the-ebpf-datapath-is-operational",
        "70-cilium",
        ("AC6",),
        "the eBPF datapath is operational",
        needs=("cilium-datapath",),
    ),
    info(
        "the-connectivity-test-passes",
        "70-cilium",
        ("AC6",),
        "`cilium connectivity test` passes",
        10,
        budget_s=900,
        needs=("cilium-datapath",),
    ),
    info(
        "the-bootstrap-took-under-30-minutes",
        "90-timing",
        ("AC7",),
        "everything is verified in under 30 minutes",
        12,
    ),
)

STAND_INS = (
    StandInInfo("charts", "the upstream charts", "that the upstream images start"),
    StandInInfo("op", "the 1Password CLI", "that the vault's own permissions are right"),
)
TOOLS = (
    ("talosctl", "1.12.0"),
    ("kubectl", "1.35.0"),
    ("helm", "3.19.4"),
    ("helmfile", "1.8.0"),
    ("flux", "2.7.5"),
)
NODES = tuple((f"infra-cp-{n}", "controlplane", f"127.25.11.{10 + n}") for n in (1, 2, 3)) + tuple(
    (f"infra-worker-{n}", "worker", f"127.25.11.{13 + n}") for n in (1, 2, 3)
)


@dataclass
class Script:
    """Records events with a clock that moves only when it is moved."""

    at_s: float = 0.0
    heard: list[Stamped] = field(default_factory=list)

    def tell(self, *events: Event) -> None:
        """Record events at the current moment."""
        stamp = (START + timedelta(seconds=self.at_s)).isoformat(timespec="milliseconds")
        self.heard += [Stamped(stamp, self.at_s, event) for event in events]

    def start(
        self,
        *,
        criteria: tuple[CriterionInfo, ...] = CRITERIA,
        plan: bool = False,
        stage: str = "",
        target: str = "simulated",
    ) -> None:
        """Begin a run."""
        stand_ins = STAND_INS if target == "simulated" else ()
        self.tell(
            RunStarted(
                "20261123T073204Z",
                "infra",
                target,
                "main@2ffc5d3",
                criteria,
                stand_ins,
                TOOLS,
                1800.0,
                RESUME,
                plan,
                stage,
                NODES,
            )
        )

    def command(
        self,
        criterion: str,
        line: str,
        took_s: float,
        *,
        code: int | None = 0,
        tail: tuple[str, ...] = (),
        changes: bool = False,
    ) -> None:
        """Run a command for a number of seconds."""
        self.tell(CommandStarted(criterion, line, changes))
        for printed in tail:
            self.tell(CommandOutput(criterion, printed))
        self.at_s += took_s
        self.tell(CommandEnded(criterion, line, code, took_s, tail, changes))

    def act(self, one: CriterionInfo, took_s: float, *, ok: bool = True) -> None:
        """Perform a criterion's action with one command."""
        action = f"make it so that {one.title}"
        self.tell(ActionBegun(one.id, action, "it is not so"))
        tail = (
            ("Upgrading release", "done")
            if ok
            else ("Error: INSTALLATION FAILED: <timed out> & gave up",)
        )
        self.command(
            one.id,
            f"helmfile --selector name={one.id} sync",
            took_s,
            code=0 if ok else 1,
            tail=tail,
            changes=True,
        )
        self.tell(ActionEnded(one.id, action, ok, took_s, "" if ok else "helmfile exited 1"))

    def wait(self, one: CriterionInfo, took_s: float, *, ok: bool = True) -> None:
        """Wait for a criterion's condition, with a probe that sees progress."""
        self.tell(WaitStarted(one.id, one.title, one.budget_s))
        for step in (1, 2, 3):
            self.at_s += took_s / 3
            self.command(one.id, f"kubectl get {one.id}", 0.0)
            if ok or step < 3:
                self.tell(Observed(one.id, one.title, f"{step} of 3", step * took_s / 3))
        self.tell(WaitEnded(one.id, one.title, ok, took_s, "3 of 3" if ok else "2 of 3", 3))

    def criterion(self, one: CriterionInfo, acting_s: float, waiting_s: float) -> None:
        """Meet a criterion; without acting time its action was not needed."""
        self.tell(CriterionStarted(one.id))
        if acting_s:
            self.act(one, acting_s)
        else:
            self.tell(ActionSkipped(one.id, f"make it so that {one.title}"))
        self.wait(one, waiting_s)
        verdict = Verdict.MET if acting_s else Verdict.ALREADY_MET
        self.tell(
            CriterionEnded(
                one.id, verdict, acting_s, waiting_s, "3 of 3", evidence=(("members", "3"),)
            )
        )

    def unverifiable(self, one: CriterionInfo) -> None:
        """Mark a criterion as not verifiable on this target."""
        self.tell(CriterionStarted(one.id))
        reason = f"the simulated target has no {', '.join(one.needs)}"
        self.tell(CriterionEnded(one.id, Verdict.NOT_VERIFIABLE, 0, 0, reason=reason))

    def not_reached(self, ones: tuple[CriterionInfo, ...], because: str) -> None:
        """Mark criteria as not reached."""
        for one in ones:
            self.tell(
                CriterionEnded(
                    one.id, Verdict.NOT_REACHED, 0, 0, reason=f"stopped before: {because}"
                )
            )


def _begin(script: Script, until: int) -> None:
    script.start()
    for number, one in enumerate(CRITERIA[:until]):
        script.criterion(
            one, 0.0 if one.stage == "00-preflight" else 0.5 + number * 0.4, 0.3 + number * 0.7
        )


def good(target: str = "nodes") -> list[Stamped]:
    """Return a run in which everything that the target can show is met."""
    script = Script()
    script.start(target=target)
    for number, one in enumerate(CRITERIA):
        script.at_s += 0.05
        if one.needs and target == "simulated":
            script.unverifiable(one)
        else:
            script.criterion(
                one,
                0.0 if one.stage in {"00-preflight", "90-timing"} else 0.5 + number * 0.4,
                0.3 + number * 0.7,
            )
    script.tell(
        RunEnded(
            0,
            interrupted=False,
            first_action_at=script.heard[0].at,
            ready_after_s=script.at_s - 20,
            verified_after_s=script.at_s,
        )
    )
    return script.heard


def failed_action(
    text: str = "cannot install Cilium on infra: helmfile exited 1 after 12.0 s",
) -> list[Stamped]:
    """Return a run that stops because an action failed."""
    script = Script()
    _begin(script, 7)
    one = CRITERIA[7]
    script.tell(CriterionStarted(one.id))
    script.act(one, 12.0, ok=False)
    hint = HintInfo(
        "F21",
        "the chart's images cannot be pulled",
        "Check Spegel & the registry, then go on",
        ("kubectl -n kube-system get events --sort-by=.lastTimestamp",),
        "docs/troubleshooting.md#f21",
    )
    script.tell(
        CriterionEnded(
            one.id,
            Verdict.ACTION_FAILED,
            12.0,
            0,
            error=f"{text}\n  stderr    Error: INSTALLATION FAILED",
            hints=(hint,),
        )
    )
    script.not_reached(CRITERIA[8:], one.title)
    script.tell(
        RunEnded(1, interrupted=False, first_action_at=script.heard[0].at, resume_command=RESUME)
    )
    return script.heard


def not_ready() -> list[Stamped]:
    """Return a run that stops because a condition was not met."""
    script = Script()
    _begin(script, 3)
    one = CRITERIA[3]
    script.tell(CriterionStarted(one.id))
    script.act(one, 2.0)
    script.wait(one, one.budget_s, ok=False)
    error = (
        f"cannot confirm {one.title}: not so within 300 s\n"
        "  last seen 2 of 3 (after 300.0 s, 3 attempts)"
    )
    script.tell(CriterionEnded(one.id, Verdict.NOT_READY, 2.0, one.budget_s, "2 of 3", error))
    script.not_reached(CRITERIA[4:], one.title)
    script.tell(
        RunEnded(1, interrupted=False, first_action_at=script.heard[0].at, resume_command=RESUME)
    )
    return script.heard


def killed() -> list[Stamped]:
    """Return a run whose record stops in the middle of an action."""
    script = Script()
    _begin(script, 4)
    one = CRITERIA[4]
    script.tell(
        CriterionStarted(one.id), ActionBegun(one.id, "generate the kubeconfig", "there is none")
    )
    script.at_s += 1.5
    script.tell(CommandStarted(one.id, "talosctl kubeconfig --force -", changes=True))
    return script.heard


def interrupted() -> list[Stamped]:
    """Return a run that Ctrl+C ended: the current criterion has no verdict."""
    script = Script()
    script.heard = killed()
    script.at_s = script.heard[-1].since_start_s + 0.2
    script.tell(
        RunEnded(2, interrupted=True, first_action_at=script.heard[0].at, resume_command=RESUME)
    )
    return script.heard


def plan() -> list[Stamped]:
    """Return a run that only observes."""
    script = Script()
    script.start(plan=True)
    for number, one in enumerate(CRITERIA):
        script.tell(CriterionStarted(one.id))
        script.at_s += 0.1
        verdict = Verdict.MET if number < 3 else Verdict.WILL_ACT if number < 9 else Verdict.BLOCKED
        reason = {
            Verdict.WILL_ACT: f"will make it so that {one.title}",
            Verdict.BLOCKED: "blocked by: every-crd-is-established",
        }
        script.tell(CriterionEnded(one.id, verdict, 0, 0.1, reason=reason.get(verdict, "")))
    script.tell(RunEnded(0, interrupted=False))
    return script.heard


def one_stage() -> list[Stamped]:
    """Return a run of two stages of the checklist."""
    script = Script()
    script.start(stage="10-talos,flux")
    for one in CRITERIA:
        if one.stage in {"10-talos", "50-flux"}:
            script.criterion(one, 1.0, 2.0)
    script.tell(RunEnded(0, interrupted=False))
    return script.heard


def excerpt() -> list[Stamped]:
    """Return a run of a few tests that were selected by hand."""
    script = Script()
    picked = tuple(one for one in CRITERIA if one.stage == "50-flux")
    script.start(criteria=picked)
    for one in picked:
        script.criterion(one, 1.0, 2.0)
    script.tell(RunEnded(0, interrupted=False))
    return script.heard


def rehearsed() -> list[Stamped]:
    """Return a good run on the simulated target, which cannot show everything."""
    return good("simulated")


def hostile() -> list[Stamped]:
    """Return a failed run in which every text tries to break out of the page or the terminal."""
    evil = (
        "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
        "\x1b[2J\x1b]0;title\x07\x00&amp;"
    )
    one = info("evil", "10-talos", ("AC1",), f"title {evil}", 1)
    script = Script()
    hint = HintInfo(
        f"F1 {evil}", f"cause {evil}", f"remedy {evil}", (f"command {evil}",), f"docs/{evil}"
    )
    script.tell(
        RunStarted(
            "id",
            "infra",
            "simulated",
            evil,
            (one,),
            (StandInInfo(evil, evil, evil),),
            ((evil, evil),),
            1800.0,
            f"resume {evil}",
            nodes=((evil, evil, evil),),
        )
    )
    script.tell(
        CommandStarted("", f"outside {evil}", changes=False),
        CommandEnded("", f"outside {evil}", 0, 0.1, (evil,), changes=False),
    )
    script.tell(CriterionStarted(one.id), ActionBegun(one.id, f"action {evil}", evil))
    script.command(one.id, f"run {evil}", 1.0, code=1, tail=(evil, "second"), changes=True)
    script.tell(ActionEnded(one.id, f"action {evil}", ok=True, elapsed_s=1.0, detail=evil))
    script.tell(
        WaitStarted(one.id, f"condition {evil}", 10.0),
        Observed(one.id, f"condition {evil}", f"seen {evil}", 1.0),
    )
    script.tell(
        WaitEnded(one.id, f"condition {evil}", ok=False, elapsed_s=10.0, last=evil, attempts=2)
    )
    script.tell(
        CriterionEnded(
            one.id,
            Verdict.NOT_READY,
            1.0,
            10.0,
            f"seen {evil}",
            f"error {evil}",
            f"reason {evil}",
            (hint,),
            ((f"key {evil}", f"value {evil}"),),
        )
    )
    script.tell(RunEnded(1, interrupted=False, resume_command=f"resume {evil}"))
    return script.heard
