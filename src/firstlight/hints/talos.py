"""Hints: the Talos API and etcd."""

from firstlight.hints.row import Class, Row

ROWS = (
    Row(
        id="FL-001",
        title="etcd's data directory is not empty",
        pattern=r"etcd data directory is not empty",
        cause="This cluster was bootstrapped before, or the disk still holds the etcd of an earlier one.",
        remedy="It is a success only if the members of etcd are this cluster's own; otherwise wipe the node's EPHEMERAL partition.",
        klass=Class.SUCCESS,
        where="talosctl bootstrap",
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> etcd members",),
    ),
)
