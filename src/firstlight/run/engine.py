"""The run: opens the target, keeps lock and journal, and begins and ends each criterion."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from firstlight.checklist import Criterion, CriterionInfo, Selection, Stage
from firstlight.clock import Clock, SteadyClock
from firstlight.definition import load
from firstlight.definition.model import Cluster
from firstlight.errors import JournalUnwritable, TargetError
from firstlight.events import (
    ActionBegun,
    Bus,
    CriterionLeft,
    CriterionStarted,
    HintInfo,
    PhaseEnded,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
)
from firstlight.journal import JOURNAL, Journal, read_history, require_usable
from firstlight.lock import cluster_lock, require_unlocked
from firstlight.masking import Masker
from firstlight.run.resume import resume_command, revision_of, typed_here
from firstlight.run.timing import BUDGET_S, READY_AFTER, VERIFIED_AFTER, Span, span
from firstlight.run.verdicts import LeaveCriterion, RunRecord, failure_of
from firstlight.target import (
    Target,
    bypass_proxies,
    open_lab,
    open_nodes,
    run_lock,
    state_folder,
)
from firstlight.toolbox import versions as tool_versions
from firstlight.tools.orphans import end_orphans, find_orphans

TEMPORARY_BYTES_MAX: Final = 80
"""The longest path, in bytes, of a folder for the temporary files of tools.

A tool may create a Unix socket there. The kernel allows 107 bytes for the path of one.
"""

INTERRUPTED: Final = 2
"""pytest's exit code of an interrupted run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for.

    Attributes:
        target: Where to bootstrap: `simulated`, `docker`, `kind` or `nodes`.
        selection: The part of the checklist to run.
        plan: Whether to check only and change nothing.
        budget_factor: Multiplies every budget, for slow machines.
        report_dir: Where the report is written.
        options: The options that a command needs to ask for the same, besides the target, the
            selection and the plan; as words.
    """

    target: str
    report_dir: Path
    selection: Selection = field(default_factory=Selection)
    plan: bool = False
    budget_factor: float = 1.0
    options: tuple[str, ...] = ()


class Run:
    """One run of the checklist on one cluster.

    Attributes:
        settings: What was asked for.
        definition: The cluster, with the target's addresses once the target is open.
        checkout: The repository.
        clock: Where time comes from.
        bus: Carries every event of the run.
        record: What the events say so far.
        criteria: Every criterion of the checklist, selected or not, by ID.
        mask: Masks every secret that is known so far.
        say: Writes a line to the terminal, outside any criterion.
        journal_trouble: Why something that ended is not in the journal, empty if everything is.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        checkout: Path,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.definition = cluster
        self.checkout = checkout
        self.clock = clock
        self.say = say
        self.run_id = uuid.uuid4().hex[:12]
        # Stamps come from a clock that is never set; conditions that compare clocks use the
        # machine's.
        self.bus = Bus(SteadyClock())
        self.record = RunRecord()
        self.bus.add(self.record.hear)
        self.criteria: dict[str, CriterionInfo] = {}
        self.mask = Masker()
        self.journal_trouble = ""
        self._journal: Journal | None = None
        self._target: Target | None = None

    @property
    def target(self) -> Target:
        """The target, which is open while criteria run.

        Raises:
            RuntimeError: No criterion is running.
        """
        if self._target is None:
            raise RuntimeError("the target opens when the first criterion is about to run")
        return self._target

    @property
    def current(self) -> str:
        """The ID of the criterion that is running, empty outside any."""
        return self.record.current.id

    @property
    def info(self) -> CriterionInfo:
        """The criterion that is running."""
        return self.criteria[self.current]

    @property
    def resume_command(self) -> str:
        """The command that continues from here."""
        asked = self.settings
        command = resume_command(self.definition.name, asked.target, asked.selection, asked.options)
        return typed_here(command, self.checkout)

    # The run

    def require_usable_journal(self) -> None:
        """Make sure that the journal, if there is one, can be used; nothing is touched.

        Raises:
            JournalUnwritable: It cannot.
        """
        state = state_folder(self.settings.target, self.definition.name)
        require_usable(state / JOURNAL, writing=not self.settings.plan)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open the target, hold its lock, and keep its journal while criteria run.

        Raises:
            FirstlightError: The target does not come up, or another run holds the cluster.
        """
        state = state_folder(self.settings.target, self.definition.name)
        with contextlib.ExitStack() as stack:
            if self.settings.plan:
                self._open_for_plan(state, stack)
            else:
                self._open(state, stack)
            self.definition = load(self.target.root, self.definition.name)
            self._bypass_proxies()
            self.record.resumed = self.record.bootstrap.first_action_at is not None
            for action in self.record.bootstrap.unfinished:
                self.say(
                    f"an earlier run was killed while it was about to {action}; checking again"
                )
            self.bus.emit(self._started())
            yield

    def end(self, exit_code: int) -> None:
        """Emit the end of the run."""
        first_action_at = self.record.bootstrap.first_action_at
        self.bus.emit(
            RunEnded(
                exit_code=exit_code,
                interrupted=exit_code == INTERRUPTED,
                first_action_at=(
                    first_action_at.isoformat(timespec="seconds") if first_action_at else ""
                ),
                ready_after_s=self.span(READY_AFTER).seconds,
                verified_after_s=self.span(VERIFIED_AFTER).seconds,
                resume_command=self.resume_command if exit_code else "",
            )
        )

    def span(self, last: Stage) -> Span:
        """Return the time from the first action until every criterion up to a stage was met."""
        return span(self.record.bootstrap, filter(self._verifiable, self.criteria.values()), last)

    def counted(self, last: Stage) -> Span:
        """Return the same within a criterion, which is left if the first action is not on record.

        The cluster may be complete then, so only its time is unknown. A plan that found something
        to do is no such case: the run that it announces begins with an action.

        Raises:
            LeaveCriterion: The first action is not on record.
        """
        found = self.span(last)
        ahead = {Verdict.WILL_ACT, Verdict.BLOCKED} & set(self.record.verdicts.values())
        if not found.has_beginning and not ahead:
            self.leave(Verdict.NOT_VERIFIABLE, found.why)
        return found

    # A criterion

    def begin(self, info: CriterionInfo, declared: Criterion) -> None:
        """Begin a criterion.

        Raises:
            LeaveCriterion: It is not reached, blocked, or not verifiable here.
        """
        self.bus.emit(CriterionStarted(id=info.id))
        blocker = self._blocker(info, declared.after)
        if blocker:
            self.leave(Verdict.NOT_REACHED, blocker)
        for name in declared.after:
            if self.record.verdicts.get(name) is Verdict.BLOCKED:
                self.leave(Verdict.BLOCKED, f"by: {self.criteria[name].title}")
        lacking = self.target.lacks(declared.needs)
        if lacking is not None:
            self.leave(Verdict.NOT_VERIFIABLE, f"{lacking}: {self.target.reasons[lacking]}")

    def leave(self, verdict: Verdict, reason: str) -> NoReturn:
        """Leave the running criterion without verifying it.

        Raises:
            LeaveCriterion: Always; it carries verdict and reason.
        """
        masked = self.words(reason)
        self.bus.emit(CriterionLeft(self.current, verdict, masked))
        raise LeaveCriterion(verdict, masked)

    def fail(self, error: BaseException, text: str, *, phase: str) -> None:
        """Record that the running criterion failed; the first failure counts."""
        if self.record.current.undecided:
            failed = failure_of(self.record.current, error, text, phase=phase)
            self.bus.emit(replace(failed, hints=self.filled(failed.hints)))

    def words(self, text: str) -> str:
        """Return a text as people read it: masked, with cluster and target in its commands."""
        return self._fill(self.mask(text))

    def filled(self, hints: tuple[HintInfo, ...]) -> tuple[HintInfo, ...]:
        """Return hints with cluster and target in their commands."""
        return tuple(
            replace(
                hint,
                cause=self._fill(hint.cause),
                remedy=self._fill(hint.remedy),
                commands=tuple(map(self._fill, hint.commands)),
            )
            for hint in hints
        )

    def _fill(self, text: str) -> str:
        # Without its target, a command would act on the simulated one.
        known = {"<cluster>": self.definition.name, "<target>": self.settings.target}
        for placeholder, name in known.items():
            text = text.replace(placeholder, name)
        return text

    def skip(self, reason: str) -> None:
        """Record that something else skipped the running criterion: nothing was verified."""
        if self.record.current.undecided:
            self.bus.emit(CriterionLeft(self.current, Verdict.NOT_VERIFIABLE, reason))

    def phase_ended(self, phase: str, elapsed_s: float) -> None:
        """Record how long a phase of the running criterion took, in seconds."""
        self.bus.emit(PhaseEnded(self.current, phase, elapsed_s))

    def conclude(self) -> None:
        """End the running criterion with the verdict that follows from its events."""
        self.bus.emit(self.record.conclusion())

    def _blocker(self, info: CriterionInfo, after: tuple[str, ...]) -> str:
        """Return what keeps a criterion from being reached, empty if nothing does.

        The first failure stops the run. Only preflight checks everything first, so that one run
        reports everything that is missing.
        """
        verdicts = self.record.verdicts
        failed = [self.criteria[name] for name, verdict in verdicts.items() if verdict.failed]
        in_preflight = info.stage is Stage.PREFLIGHT
        stopping = [one for one in failed if not (in_preflight and one.stage is Stage.PREFLIGHT)]
        for one in stopping or [one for one in failed if one.id in after]:
            return f"{one.id} came first and failed"
        for name in after:
            if verdicts.get(name) is Verdict.NOT_REACHED:
                return f"{name} came first and was not reached"
        return ""

    # Opening

    def _open(self, state: Path, stack: contextlib.ExitStack) -> None:
        """Lock the cluster, end what a killed run left behind, and open the journal."""
        # Before the target opens: opening may change it, and another run may be using it.
        stack.enter_context(cluster_lock(run_lock(state), self.definition.name, self.clock))
        self._target = self._open_target()
        self._redirect_tool_files(state / "helm", caches=False)
        for command in end_orphans(str(self.target.state), self.clock):
            self.say(f"ended {command}, which an earlier run left running")
        # Only now: a command that was left running could still write into the old one.
        self._redirect_temporary_files(state / "tmp", stack)
        self._read_history(state, repair=True)
        self._journal = stack.enter_context(Journal(state / JOURNAL))
        # The first listener: an event is on disk before anything else hears of it.
        self.bus.add_first(self._write)

    def _open_for_plan(self, state: Path, stack: contextlib.ExitStack) -> None:
        """Read lock and journal without changing them, and keep tools' caches out of the home."""
        require_unlocked(run_lock(state), self.definition.name)
        self._target = self._open_target()
        for command in find_orphans(str(self.target.state)):
            self.say(f"{command}, which an earlier run left running, would be ended first by a run")
        self._read_history(state, repair=False)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="firstlight-plan-"))
        self._redirect_tool_files(Path(folder), caches=True)
        self._redirect_temporary_files(Path(folder) / "tmp", stack)

    def _open_target(self) -> Target:
        target, cluster = self.settings.target, self.definition.name
        if target == "nodes":
            return open_nodes(cluster, self.checkout)
        return open_lab(target, cluster, self.checkout, on_line=self.say)

    def _bypass_proxies(self) -> None:
        """Keep a proxy of the environment away from the cluster's own addresses."""
        nodes = (str(node.address) for node in self.definition.nodes)
        endpoint = urlsplit(self.definition.endpoint).hostname or ""
        hosts = dict.fromkeys((str(self.definition.vip), endpoint, *nodes))
        environment = {
            **self.target.environment,
            **bypass_proxies(self.target.environment, hosts),
        }
        self._target = replace(self.target, environment=environment)

    def _redirect_tool_files(self, folder: Path, *, caches: bool) -> None:
        """Keep helm's repository list, and caches if asked, out of the operator's home."""
        files = {
            "HELM_REPOSITORY_CONFIG": folder / "repositories.yaml",
            "HELM_REPOSITORY_CACHE": folder / "repositories",
        }
        if caches:
            files |= {
                "HELM_CACHE_HOME": folder / "helm",
                "HELMFILE_CACHE_HOME": folder / "helmfile",
                "KUBECACHEDIR": folder / "kube",
            }
        environment = {**self.target.environment, **{key: str(path) for key, path in files.items()}}
        self._target = replace(self.target, environment=environment)

    def _redirect_temporary_files(self, folder: Path, stack: contextlib.ExitStack) -> None:
        """Keep temporary files in a folder of the run's own, which is empty and ends with it.

        A tool that is killed leaves its files there, and so does a run; the next run removes them.

        Raises:
            TargetError: The folder cannot be emptied or created.
        """
        try:
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
            else:
                folder.unlink(missing_ok=True)
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise TargetError(
                f"cannot keep temporary files in {folder}: {error.strerror or error}",
                next_step=f"let this user write there: ls -ld {shlex.quote(str(folder.parent))}",
            ) from error
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = str(folder)
        if len(os.fsencode(folder)) <= TEMPORARY_BYTES_MAX:
            environment = {**self.target.environment, "TMPDIR": str(folder)}
            self._target = replace(self.target, environment=environment)

    def _read_history(self, state: Path, *, repair: bool) -> None:
        history = read_history(state / JOURNAL, repair=repair)
        self.record.bootstrap = history.record
        if history.damage:
            self.say(history.damage)

    def _write(self, stamped: Stamped) -> None:
        """Write an event to the journal.

        Raises:
            JournalUnwritable: Something is about to begin and is not on disk, so it must not begin.
                What has already ended is only reported as missing.
        """
        try:
            if self._journal is not None:
                self._journal.record(stamped)
        except JournalUnwritable as error:
            if isinstance(stamped.event, RunStarted | ActionBegun):
                raise
            self.journal_trouble = f"{error.summary}; the next run checks everything again"

    def _verifiable(self, info: CriterionInfo) -> bool:
        return self.target.lacks(info.needs) is None

    def _started(self) -> RunStarted:
        cluster = self.definition
        return RunStarted(
            run_id=self.run_id,
            cluster=cluster.name,
            target=self.target.name,
            revision=revision_of(self.checkout),
            criteria=tuple(self.criteria.values()),
            stand_ins=self.target.stand_ins,
            tool_versions=tuple(tool_versions().items()),
            budget_s=BUDGET_S,
            resume_command=self.resume_command,
            plan=self.settings.plan,
            stage=self.settings.selection.text,
            nodes=tuple(
                (node.hostname, str(node.role), str(node.address)) for node in cluster.nodes
            ),
        )
