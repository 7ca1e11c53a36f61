"""Known failures of helm, helmfile, charts, CRDs, CoreDNS, Spegel and cert-manager."""

from firstlight.failures.row import FailureClass, Row

RELEASES = "helm list --all --all-namespaces"

ROWS = (
    Row(
        id="FL-047",
        title="an object that a chart installs already exists and is not Helm's",
        failure_class=FailureClass.FATAL,
        where="helmfile sync",
        cause=(
            "Something else created the object. For CoreDNS that is Talos, "
            "whose own CoreDNS was not disabled before the bootstrap."
        ),
        remedy=(
            "Set `cluster.coreDNS.disabled: true` before the bootstrap. In a cluster that already "
            "has the objects, delete Talos's objects, or label them for Helm."
        ),
        anchor="release-runs",
        commands=(
            (
                "kubectl --namespace kube-system get deployment,service,serviceaccount,configmap"
                " --selector k8s-app=kube-dns"
            ),
        ),
        patterns=(r"cannot be imported into the current release|invalid ownership metadata",),
        said_by={"helm": r"invalid ownership metadata"},
        rules=("coredns-not-off",),
    ),
    Row(
        id="FL-048",
        title="Spegel does not find containerd's registry folder",
        failure_class=FailureClass.FATAL,
        where="Spegel's log",
        cause=(
            "Talos keeps containerd's registry configuration in another folder than Spegel expects."
        ),
        remedy="Set `spegel.containerdRegistryConfigPath: /etc/cri/conf.d/hosts`.",
        anchor="spegel-runs-on-every-node",
        commands=("kubectl --namespace kube-system logs daemonset/spegel --all-containers",),
        patterns=(r"Containerd registry config path needs to be set for mirror configuration",),
        rules=("registry-path-differs",),
    ),
    Row(
        id="FL-050",
        title="Spegel 0.5.0 crashes on images without a registry",
        failure_class=FailureClass.FATAL,
        where="Spegel's log",
        cause="This is a bug in Spegel 0.5.0.",
        remedy="Use 0.4.0, or 0.5.1 and later.",
        anchor="spegel-runs-on-every-node",
        commands=("kubectl --namespace kube-system get daemonset spegel --output wide",),
        patterns=(r"reference needs to contain a registry",),
        rules=("chart-version-broken",),
    ),
    Row(
        id="FL-049",
        title="Spegel runs but serves nothing",
        failure_class=FailureClass.FATAL,
        where="Spegel's log",
        cause=(
            "containerd discards layers once they are unpacked: "
            "`discard_unpacked_layers = false` is not set, or is in the wrong section."
        ),
        remedy=(
            'Set it under `[plugins."io.containerd.cri.v1.images"]`, reboot the node, '
            "and check the merged file."
        ),
        anchor="spegel-runs-on-every-node",
        commands=("talosctl --nodes <node> --endpoints <node> read /etc/cri/conf.d/cri.toml",),
        patterns=(
            r"\"status\":(404|500)[^\n]*\"handler\":\"mirror\"",
            r"could not resolve mirror for key|mirror resolve retries exhausted",
        ),
    ),
    Row(
        id="FL-051",
        title="nodes pull from a Spegel that is gone",
        failure_class=FailureClass.FATAL,
        where="a pod's events",
        cause="Spegel left its mirror files in containerd's registry folder, and is not running.",
        remedy=(
            "Start Spegel again, or remove its hosts.toml files. "
            "Keep the fallback to the registry itself."
        ),
        anchor="spegel-runs-on-every-node",
        commands=(
            "kubectl --namespace kube-system get daemonset spegel",
            "talosctl --nodes <node> --endpoints <node> ls /etc/cri/conf.d/hosts",
        ),
        patterns=(r":(29999|3002[01])(/\S*)?\"?: [^\n]*connection refused",),
    ),
    Row(
        id="FL-052",
        title="Pod Security rejects Spegel's pods",
        failure_class=FailureClass.FATAL,
        where="the DaemonSet's events",
        cause=(
            "Spegel needs host paths and a host port, "
            "which Talos's `baseline` standard forbids outside kube-system."
        ),
        remedy="Install it in kube-system, or label its namespace.",
        anchor="spegel-runs-on-every-node",
        commands=(
            "kubectl label namespace <namespace> pod-security.kubernetes.io/enforce=privileged",
        ),
        patterns=(r"\bspegel\S*[^\n]*(violates PodSecurity|is forbidden)",),
    ),
    Row(
        id="FL-053",
        title="cert-manager's webhook is not trusted yet",
        failure_class=FailureClass.RETRY,
        where="kubectl create, helmfile sync",
        cause=(
            "The pods run, but cainjector has not written the certificate authority "
            "into the webhook's configuration yet."
        ),
        remedy=(
            "The check is retried until a dry-run Issuer is accepted. "
            "If this lasts, read cainjector's log."
        ),
        anchor="cert-managers-webhook-answers",
        commands=("kubectl --namespace cert-manager logs deployment/cert-manager-cainjector",),
        patterns=(r"failed calling webhook \"?webhook\.cert-manager\.io",),
        said_by={"helm": r"failed calling webhook", "kubectl": r"failed calling webhook"},
    ),
    Row(
        id="FL-054",
        title="a post-install hook did not finish in time",
        failure_class=FailureClass.FATAL,
        where="helmfile sync",
        cause=(
            "For cert-manager this is startupapicheck: the API server does not reach the webhook, "
            "so the network between them is broken."
        ),
        remedy="Read the job's log. Then check that Cilium is healthy.",
        anchor="cert-managers-webhook-answers",
        commands=(
            "kubectl --namespace cert-manager logs job/cert-manager-startupapicheck",
            "cilium status --wait",
        ),
        patterns=(r"failed post-install:[\s\S]{0,80}timed out waiting for the condition",),
    ),
    Row(
        id="FL-055",
        title="a killed helm left a release pending",
        # A run repairs pending releases right before it installs. If Helm still finds another
        # operation, another helm is working on the release at this moment, and a second attempt
        # would roll it back underneath that helm. So a run never retries this; the next run does.
        failure_class=FailureClass.FATAL,
        where="helmfile sync, helm list",
        cause=(
            "helm was killed while it worked, so its record still says that it is working. "
            "Or another helm is working on the release right now."
        ),
        remedy=(
            "Run the same command again: it uninstalls a release that was never deployed, "
            "and rolls back an upgrade. By hand:"
        ),
        anchor="release-runs",
        commands=(
            RELEASES,
            "helm --namespace <namespace> uninstall <release> --no-hooks",
            "helm --namespace <namespace> rollback <release>",
        ),
        patterns=(
            r"another operation \(install/upgrade/rollback\) is in progress",
            r"\bpending-(install|upgrade|rollback)\b",
        ),
        said_by={"helm": r"another operation \(install/upgrade/rollback\) is in progress"},
    ),
    Row(
        id="FL-064",
        title="Flux's CRDs are missing",
        failure_class=FailureClass.FATAL,
        where="kubectl apply",
        cause=(
            "Flux is not installed yet. Or its chart was uninstalled together with its CRDs, "
            "which deleted every Kustomization and HelmRelease."
        ),
        remedy=(
            "Install Flux, then apply its first objects again. "
            "The CRDs have to carry `helm.sh/resource-policy: keep`."
        ),
        anchor="release-runs",
        commands=(
            "kubectl get crd --selector app.kubernetes.io/part-of=flux",
            "./task bootstrap:releases CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(
            (
                r"no matches for kind \"?"
                r"(Kustomization|HelmRelease|GitRepository|OCIRepository|HelmRepository)\b"
            ),
        ),
        rules=("crds-not-kept",),
    ),
    Row(
        id="FL-056",
        title="a resource is applied before its CRD exists",
        failure_class=FailureClass.FATAL,
        where="helmfile, kubectl apply",
        cause="The CRD is not installed, or the API server does not serve it yet.",
        remedy=(
            "Install the CRDs first, and wait until they are established. Use `helmfile sync`: "
            "`helmfile apply` renders everything before it starts."
        ),
        anchor="crd-is-established",
        commands=(
            "./task bootstrap:crds CLUSTER=<cluster> TARGET=<target>",
            "./task bootstrap:wait-crds CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(r"no matches for kind|ensure CRDs are installed first",),
    ),
    Row(
        id="FL-225",
        title="a CRD is not established",
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=(
            "The CRD is missing, is being deleted, its names conflict with another CRD, "
            "or the API server has not processed it yet."
        ),
        remedy=(
            "The last observation says which. The next run applies a missing one again and "
            "uninstalls nothing: `bootstrap:crds` those of 00-crds.yaml, `bootstrap:releases` "
            "Flux's. The objects of its kind are gone: Flux applies those in Git again, "
            "any others have to be created again."
        ),
        anchor="crd-is-established",
        commands=(
            "./task bootstrap:crds CLUSTER=<cluster> TARGET=<target>",
            "./task bootstrap:releases CLUSTER=<cluster> TARGET=<target>",
            "flux reconcile kustomization flux-system --namespace flux-system --with-source",
            "kubectl describe crd <name>",
        ),
    ),
    Row(
        id="FL-057",
        title="a release that another one needs is not deployed",
        failure_class=FailureClass.FATAL,
        where="the criterion's error",
        cause=(
            "A single release was selected. With a selector, "
            "helmfile does not install what the release needs (`--skip-needs`)."
        ),
        remedy="Install all releases, in order. By hand, add `--include-needs`.",
        anchor="releases-were-installed-in-order",
        commands=("./task bootstrap:releases CLUSTER=<cluster> TARGET=<target>", RELEASES),
    ),
    Row(
        id="FL-058",
        title="Helm 4 waits for resources that never become ready",
        failure_class=FailureClass.FATAL,
        where="helm, helmfile sync",
        cause=(
            "Helm 4 also waits for custom resources, "
            "and some of them never report that they are ready."
        ),
        remedy="Use the pinned Helm 3. If it has to be Helm 4, add `--wait=legacy`.",
        anchor="every-tool-is-there-at-its-pinned-version",
        commands=("helm version --short", "./task tools"),
        patterns=(r"not ready\. status: InProgress",),
    ),
    Row(
        id="FL-059",
        title="Helm and Flux both own a field",
        failure_class=FailureClass.FATAL,
        where="helmfile sync, kubectl apply --server-side",
        cause=(
            "Flux has taken over the release. Helm 4 applies on the server, "
            "which does not let it take fields from another owner."
        ),
        remedy=(
            "Leave the release to Flux, and change its HelmRelease in Git. "
            "For a bootstrap by hand, force the conflict."
        ),
        anchor="flux-has-taken-over-every-release",
        commands=(
            "kubectl --namespace <namespace> get <kind> <name> --output yaml --show-managed-fields",
        ),
        patterns=(r"Apply failed with \d+ conflicts?|conflict occurred while applying",),
    ),
    Row(
        id="FL-212",
        title="a chart does not resolve",
        failure_class=FailureClass.FATAL,
        where="helm show chart",
        cause="The repository is unreachable, or does not have the chart in that version.",
        remedy=(
            "Query the repository by hand. Then correct the version in the HelmRelease's source, "
            "or wait for the repository."
        ),
        anchor="every-chart-resolves",
        commands=(
            "helm show chart <chart> --repo <url> --version <version>",
            "helm show chart oci://<registry>/<chart> --version <version>",
        ),
        patterns=(r"is not a valid chart repository|chart \S+ version \S+ not found",),
    ),
    Row(
        id="FL-218",
        title="a chart does not know a value",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="The key is misspelt, or the chart renamed it. Helm silently ignores unknown keys.",
        remedy="Compare it with the chart's own values, and correct the HelmRelease.",
        anchor="no-value-key-is-unknown-to-its-chart",
        commands=("helm show values <chart> --repo <url> --version <version>",),
    ),
    Row(
        id="FL-220",
        title="helmfile and Flux would install different things",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="A value, a version or a name is in helmfile.d/ but not in the HelmRelease.",
        remedy=(
            "Keep it in the HelmRelease only: the helmfile templates read everything from there."
        ),
        anchor="helmfile-values-equal-the-helmreleases",
        commands=("helmfile --file bootstrap/<cluster>/helmfile.d/01-apps.yaml list",),
    ),
    Row(
        id="FL-234",
        title="the releases were not installed in order",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "A release was installed by hand, or removed and installed again, "
            "after one that needs it."
        ),
        remedy=(
            "This breaks nothing now. Helm's own record keeps the order; "
            "for a clean record, bootstrap an empty cluster."
        ),
        anchor="releases-were-installed-in-order",
        commands=(RELEASES,),
    ),
    Row(
        id="FL-067",
        title="an object of a release is gone",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "Somebody deleted it. Helm's record still says deployed, "
            "and without drift detection Flux reports Ready."
        ),
        remedy=(
            "Have Flux restore it; with `driftDetection.mode: enabled` in the HelmRelease it also "
            "does so by itself, at its next interval. Before the hand-off to Flux, "
            "and for Flux's own controllers, install the release again by hand."
        ),
        anchor="release-runs",
        commands=(
            "flux reconcile helmrelease <release> --namespace <namespace> --force",
            (
                "helmfile --file bootstrap/<cluster>/helmfile.d/01-apps.yaml"
                " --selector name=<release> sync --skip-needs"
            ),
        ),
    ),
    Row(
        id="FL-251",
        title="no pod of a workload is to run",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "Somebody scaled the Deployment to 0, or gave the DaemonSet a node selector "
            "that no node has. Helm's record does not show it."
        ),
        remedy=(
            "Scale it up by hand, or have Flux correct it, which it otherwise does only once an "
            "hour, and only while its own controllers run. `helm get manifest` has the number."
        ),
        anchor="release-runs",
        commands=(
            "kubectl --namespace <namespace> scale deployment <name> --replicas <number>",
            "flux reconcile helmrelease <release> --namespace <namespace>",
            "kubectl --namespace <namespace> describe daemonset <name>",
        ),
    ),
    Row(
        id="FL-241",
        title="a release did not become ready in time",
        failure_class=FailureClass.FATAL,
        where="helmfile sync",
        cause=(
            "Helm waited for the pods, and they did not become ready. "
            "A slow image is the usual reason."
        ),
        remedy=(
            "Find out which pods are not ready, and why. The same command continues from here."
        ),
        anchor="release-runs",
        commands=(
            "kubectl get pods --all-namespaces --output wide",
            "kubectl --namespace <namespace> describe pod <pod>",
        ),
        patterns=(
            (
                r"(INSTALLATION|INSTALL|UPGRADE) FAILED: [\s\S]{0,120}"
                r"(context deadline exceeded|timed out waiting)"
            ),
        ),
        said_by={
            "helm": (r"timed out waiting for the condition|FAILED: [^\n]*context deadline exceeded")
        },
    ),
)
