"""The story's three rules of error recovery; the most general rows of all, so they come last."""

from firstlight.failures.row import FailureClass, Row

ROWS = (
    Row(
        id="FL-111",
        title="the Talos bootstrap failed",
        failure_class=FailureClass.FATAL,
        where="the criterion's error",
        cause="The machine refused the bootstrap, or etcd did not start afterwards.",
        remedy=(
            "Check etcd on all control plane nodes first. "
            "If no node has a member worth keeping, wipe the nodes and bootstrap again."
        ),
        anchor="etcd-is-bootstrapped-once",
        commands=(
            "talosctl --nodes <node> --endpoints <node> service etcd",
            "./task talos:reset CLUSTER=<cluster> CONFIRM=<cluster> TARGET=nodes",
        ),
    ),
    Row(
        id="FL-112",
        title="helmfile failed",
        failure_class=FailureClass.FATAL,
        where="the criterion's error",
        cause="A CRD that the chart uses may be missing. Rule that out first.",
        remedy=(
            "Check that the CRDs are established. Then read what Helm printed about the release, "
            "and run the same command again."
        ),
        anchor="release-runs",
        commands=(
            "./task bootstrap:wait-crds CLUSTER=<cluster> TARGET=<target>",
            "helm list --all --all-namespaces",
        ),
    ),
    Row(
        id="FL-113",
        title="Flux does not become ready",
        failure_class=FailureClass.FATAL,
        where="the criterion's error",
        cause="Usually the deploy key: it is missing, is another one, or is not allowed to read.",
        remedy="Verify the deploy key's permissions, then read the message of the Flux object.",
        anchor="the-gitrepository-is-ready",
        commands=(
            "./task bootstrap:validate CLUSTER=<cluster> TARGET=<target>",
            "flux get all --all-namespaces",
        ),
    ),
)
