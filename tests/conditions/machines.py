"""Machines that answer talosctl like real ones, with the etcd that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstlight.definition.model import Cluster
from firstlight.tools.talosctl import Talosctl
from tests.definitions import infra
from tests.tools.scripted import Said, ScriptedRunner, captured

NO_LEADER = captured("etcd-members-no-quorum")
DOWN = captured("bootstrap-node-down")
WRONG_CA = captured("bootstrap-wrong-ca")
ALREADY_EXISTS = captured("bootstrap-already-exists")
LEARNER = Said(
    stderr=(
        "error getting members: rpc error: code = FailedPrecondition desc = "
        "etcdserver: rpc not supported for learner"
    ),
    exit_code=1,
)


@dataclass
class Machine:
    """One machine.

    Attributes:
        etcd: The state of its etcd service, empty if it is not loaded yet, as early in a boot.
        members: The members that its etcd lists, or the answer instead.
        last: The last event of each of its services.
        other: States and healths of further services.
        fails: Its answer to everything, if it does not work at all.
        version, time, resources: Its answers to these requests.
    """

    etcd: str = "Preparing"
    members: tuple[str, ...] | Said = ()
    health: str = "OK"
    last: str = "Something happened"
    other: dict[str, tuple[str, str]] = field(default_factory=lambda: {"apid": ("Running", "OK")})
    fails: Said | None = None
    version: str = "v1.12.0"
    time: str = "2026-11-23 07:32:00.1 +0000 UTC"
    resources: str = ""


class Machines:
    """All machines of the infra cluster behind one talosctl."""

    def __init__(self, **machines: Machine) -> None:
        self.cluster: Cluster = infra()
        self.machines = {
            node.hostname: machines.get(
                node.hostname.removeprefix("infra-").replace("-", "_"), Machine()
            )
            for node in self.cluster.nodes
        }
        self.bootstraps: list[Said] = [Said()]
        """The answers to calls of `bootstrap`; the last one is repeated."""
        self.after_bootstrap: dict[str, Machine] = {}
        """The state of machines after `bootstrap` was called."""
        self.healthy: Said = captured("health")
        self.runner = ScriptedRunner(self._answer)
        self.talosctl = Talosctl(self.runner, self.cluster.talosconfig)

    @property
    def asked(self) -> list[str]:
        """The commands, without their common arguments."""
        return [
            " ".join(called.argv[called.argv.index("--nodes") + 1 :])
            for called in self.runner.called
        ]

    @property
    def bootstrapped(self) -> list[str]:
        """The addresses that `bootstrap` was called on."""
        return [
            called.argv[called.argv.index("--nodes") + 1]
            for called in self.runner.called
            if called.argv[-1] == "bootstrap"
        ]

    def address(self, hostname: str) -> str:
        """Return the address of a machine."""
        return next(str(node.address) for node in self.cluster.nodes if node.hostname == hostname)

    def _answer(self, argv: list[str]) -> Said | None:
        addresses = argv[argv.index("--nodes") + 1].split(",")
        if len(addresses) > 1:
            return self._answer_together(argv, addresses)
        (address,) = addresses
        hostname = next(
            node.hostname for node in self.cluster.nodes if str(node.address) == address
        )
        machine = self.machines[hostname]
        words = argv[argv.index("--endpoints") + 2 :]
        if words == ["bootstrap"]:
            self.machines.update(self.after_bootstrap)
            return self.bootstraps.pop(0) if len(self.bootstraps) > 1 else self.bootstraps[0]
        if machine.fails is not None:
            return machine.fails
        answers = {
            "health": self.healthy,
            "services": Said(services_table(address, machine)),
            "etcd": machine.members
            if isinstance(machine.members, Said)
            else Said(members_table(address, machine.members)),
            "version": Said(version_text(address, machine.version)),
            "time": Said(
                table(
                    ("NODE", "NTP-SERVER", "NODE-TIME", "NTP-SERVER-TIME"),
                    (address, "10.25.10.1", machine.time, machine.time),
                )
            ),
            "get": Said(machine.resources),
        }
        return answers.get(words[0])

    def _answer_together(self, argv: list[str], addresses: list[str]) -> Said | None:
        """Answer for several machines: one that fails fails the command, as in talosctl."""
        place = argv.index("--nodes") + 1
        answers = [
            self._answer([*argv[:place], address, *argv[place + 1 :]]) for address in addresses
        ]
        given = [answer for answer in answers if answer is not None]
        failed = next((answer for answer in given if answer.exit_code != 0), None)
        head = given[0].stdout.partition("\n")[0] + "\n"
        return failed or Said(head + "".join(each.stdout.removeprefix(head) for each in given))


def services_table(address: str, machine: Machine) -> str:
    """Return what `talosctl services` prints for a machine."""
    etcd = (
        {"etcd": (machine.etcd, machine.health if machine.etcd == "Running" else "?")}
        if machine.etcd
        else {}
    )
    rows = [
        (address, name, state, health, "3s ago", machine.last)
        for name, (state, health) in sorted({**machine.other, **etcd}.items())
    ]
    return table(("NODE", "SERVICE", "STATE", "HEALTH", "LAST CHANGE", "LAST EVENT"), *rows)


def members_table(address: str, members: tuple[str, ...]) -> str:
    """Return what `talosctl etcd members` prints for a machine."""
    rows = [
        (address, f"{number:016x}", name, "https://peer:2380", "https://client:2379", "false")
        for number, name in enumerate(members)
    ]
    return table(("NODE", "ID", "HOSTNAME", "PEER URLS", "CLIENT URLS", "LEARNER"), *rows)


def version_text(address: str, version: str) -> str:
    """Return what `talosctl version --short` prints for a machine."""
    return f"Client:\nTalos v1.12.0\nServer:\n\tNODE:        {address}\n" + (
        f"\tTag:         {version}\n" if version else ""
    )


def table(*rows: tuple[str, ...]) -> str:
    """Align rows like Go's tabwriter: each column is three blanks wider than its widest cell."""
    widths = [max(len(cell) for cell in column) + 3 for column in zip(*rows, strict=True)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def member_of(*names: str) -> Machine:
    """Return a control plane machine whose etcd runs and lists these members."""
    return Machine(etcd="Running", members=tuple(f"infra-{name}" for name in names))
