"""Hints: the story's three rules of error recovery; the most general of all, so they come last."""

from firstlight.hints.row import Row
from firstlight.tools.classification import Class

ROWS = (
    Row(
        id="FL-111",
        title="the Talos bootstrap failed",
        pattern=r"cannot bootstrap etcd on|to accept the bootstrap: (not so|waiting longer)",
        cause="The machine refused the bootstrap, or etcd did not start after it.",
        remedy="Look at etcd on all control plane nodes first. If none has a member worth keeping: wipe them, and bootstrap again.",
        klass=Class.FATAL,
        where="the criterion's error",
        anchor="etcd-is-bootstrapped-once",
        commands=(
            "talosctl --nodes <node> --endpoints <node> service etcd",
            "./task talos:reset CLUSTER=<cluster> CONFIRM=<cluster> TARGET=nodes",
        ),
    ),
    Row(
        id="FL-112",
        title="helmfile failed",
        pattern=r"cannot install \S+ with helmfile",
        cause="A CRD that the chart uses may be missing: that is to be ruled out first.",
        remedy="Check that the CRDs are established. Then read what helm said about the release, and run the same command again.",
        klass=Class.FATAL,
        where="the criterion's error",
        anchor="release-runs",
        commands=(
            "./task bootstrap:<cluster>:wait-crds TARGET=<target>",
            "helm list --all --all-namespaces",
        ),
    ),
    Row(
        id="FL-113",
        title="Flux does not get ready",
        pattern=r"(gitrepositories|kustomizations) \S+ to be Ready: (not so|waiting longer)|Flux to have cloned \S+: (not so|waiting longer)",
        cause="Mostly the deploy key: it is missing, another one, or not allowed to read.",
        remedy="Verify the deploy key's permissions, then read what the Flux object says.",
        klass=Class.FATAL,
        where="the criterion's error",
        anchor="the-gitrepository-is-ready",
        commands=(
            "./task bootstrap:<cluster>:validate TARGET=<target>",
            "flux get all --all-namespaces",
        ),
    ),
)
