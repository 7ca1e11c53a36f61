"""Known failures of Flux, Git and the deploy key."""

from firstlight.failures.row import FailureClass, Row

SOURCE_LOGS = "kubectl --namespace flux-system logs deployment/source-controller"

ROWS = (
    Row(
        id="FL-060",
        title="the Git host's key is not the expected one",
        failure_class=FailureClass.FATAL,
        where="git, source-controller",
        cause=(
            "known_hosts is outdated, or lacks a key type that the host offers. "
            "Or somebody intercepts the connection."
        ),
        remedy=(
            "Compare the keys with those that the host publishes, put all of its key types "
            "into 1Password, and apply the secrets again."
        ),
        anchor="the-deploy-key-can-read-the-git-remote",
        commands=(
            "ssh-keyscan <git host>",
            "./task bootstrap:secrets CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(
            r"knownhosts: key (mismatch|is unknown)|Host key verification failed",
            r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        ),
        said_by={
            "git": r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        },
    ),
    Row(
        id="FL-205",
        title="the deploy key belongs to another repository",
        failure_class=FailureClass.FATAL,
        where="git, source-controller",
        cause=(
            "The host knows the key but does not grant it access to this repository, "
            "or the address is misspelt."
        ),
        remedy=(
            "Add the key to this repository's deploy keys; a deploy key belongs to one repository "
            "only. Check the GitRepository's url."
        ),
        anchor="the-deploy-key-can-read-the-git-remote",
        commands=("ssh -i <key file> -T git@<git host>",),
        patterns=(r"Repository not found",),
    ),
    Row(
        id="FL-061",
        title="the Git host rejects the deploy key",
        failure_class=FailureClass.FATAL,
        where="git, source-controller",
        cause=(
            "The key is not among the repository's deploy keys, or the URL is an https URL, "
            "for which Flux needs a user name and a password."
        ),
        remedy=(
            "Add the public key to the repository's deploy keys, read-only. "
            "Use the ssh:// form of the url."
        ),
        anchor="the-deploy-key-can-read-the-git-remote",
        commands=("ssh-keygen -y -f <key file>", "ssh -i <key file> -T git@<git host>"),
        patterns=(
            r"unable to clone[^\n]*authentication required|unable to authenticate",
            r"Permission denied \(publickey",
        ),
        said_by={"git": r"Permission denied \(publickey"},
        rules=("git-url-not-ssh",),
    ),
    Row(
        id="FL-206",
        title="the deploy key can write",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="Write access was allowed when the key was added to the repository.",
        remedy=(
            "Delete the deploy key at the Git host, and add it again without write access: "
            "the access cannot be changed afterwards."
        ),
        anchor="the-deploy-key-cannot-write-to-the-git-remote",
        commands=(
            (
                "GIT_SSH_COMMAND='ssh -i <deploy key> -o IdentitiesOnly=yes'"
                " git push --dry-run <git url> HEAD:refs/heads/probe"
            ),
        ),
    ),
    Row(
        id="FL-062",
        title="the deploy key can only read",
        failure_class=FailureClass.WAIT,
        where="git push, image-automation-controller",
        cause=(
            "A deploy key should be read-only. "
            "Something tries to push: Flux's image automation, or a person."
        ),
        remedy="Do not install the image automation controllers with a read-only key.",
        anchor="the-deploy-key-cannot-write-to-the-git-remote",
        commands=("kubectl --namespace flux-system get deployments",),
        patterns=(r"The key you are authenticating with has been marked as read only",),
        said_by={"git": r"marked as read only"},
    ),
    Row(
        id="FL-207",
        title="the Git host cannot be reached",
        failure_class=FailureClass.FATAL,
        where="git",
        cause=(
            "The name does not resolve, there is no route, or a firewall blocks outgoing port 22."
        ),
        remedy=(
            "Connect by hand from this computer and from a node. "
            "github.com also accepts SSH on port 443 of ssh.github.com."
        ),
        anchor="the-deploy-key-can-read-the-git-remote",
        commands=("nc -vz <git host> 22",),
        patterns=(r"Could not resolve hostname|ssh: connect to host \S+ port \d+: ",),
        said_by={"git": r"Connection refused|Connection timed out|Could not resolve hostname"},
    ),
    Row(
        id="FL-244",
        title="the connection to the Git host breaks",
        failure_class=FailureClass.RETRY,
        where="git",
        cause="The network between this computer and the Git host is interrupted.",
        remedy=(
            "The command is retried within the budget. If this lasts, connect by hand from here."
        ),
        anchor="the-deploy-key-can-read-the-git-remote",
        commands=("nc -vz <git host> 22",),
        patterns=(
            r"kex_exchange_identification: |Connection (closed|reset) by \S+ port \d+",
            r"port 22: (No route to host|Network is unreachable|Operation timed out)",
        ),
        said_by={
            "git": (
                r"Connection (closed|reset)|No route to host|Network is unreachable"
                r"|Operation timed out"
            )
        },
    ),
    Row(
        id="FL-231",
        title="the branch does not exist",
        failure_class=FailureClass.FATAL,
        where="git, source-controller",
        cause="The repository does not have the branch that the GitRepository names.",
        remedy=(
            "Push the branch, or correct `spec.ref.branch` in "
            "bootstrap/<cluster>/resources/gitrepository.yaml."
        ),
        anchor="the-gitrepository-is-ready",
        commands=("git ls-remote --heads <url>",),
        patterns=(r"couldn't find remote ref|reference not found|Remote branch \S+ not found",),
    ),
    Row(
        id="FL-230",
        title="the Kustomization's path does not exist",
        failure_class=FailureClass.FATAL,
        where="kustomize-controller",
        cause=(
            "The branch that Flux cloned does not have the folder: "
            "the change was not pushed, or the path is misspelt."
        ),
        remedy="Push clusters/<cluster>/flux to the branch, or correct `spec.path`.",
        anchor="the-kustomization-is-ready",
        commands=("git ls-tree origin/main clusters/<cluster>/flux",),
        patterns=(r"kustomization path not found",),
    ),
    Row(
        id="FL-229",
        title="Flux cannot decrypt",
        failure_class=FailureClass.FATAL,
        where="kustomize-controller",
        cause="The AGE key is missing from the cluster, or does not open the file.",
        remedy=(
            "Compare the recipient in .sops.yaml with the key in 1Password, "
            "and apply the secrets again."
        ),
        anchor="the-kustomization-is-ready",
        commands=(
            "kubectl --namespace flux-system get secret sops-age",
            "./task bootstrap:secrets CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(r"cannot get sops data key|error decrypting sops tree",),
    ),
    Row(
        id="FL-063",
        title="Flux's controllers are missing or not ready",
        failure_class=FailureClass.RETRY,
        where="flux check",
        cause="Flux is not installed yet, is in another namespace, or its pods are still starting.",
        remedy=(
            "The check is retried. If this lasts, install Flux, and check its release and its pods."
        ),
        anchor="flux-check-passes",
        commands=(
            "helm --namespace flux-system list --all",
            "kubectl --namespace flux-system get deployments",
        ),
        patterns=(
            r"no controllers found in the '[^']*' namespace",
            ("\u2717 " r"\S+: (deployment not ready|\S+ not found)"),
        ),
        # Controllers that are not ready and CRDs that are not established become so by themselves.
        said_by={
            "flux": (
                r"no controllers found in the '[^']*' namespace|"
                "\u2717 "
                r"[^\n]*(deployment not ready|not found|InProgress|timeout|deadline exceeded)"
            )
        },
    ),
    Row(
        id="FL-065",
        title="the hand-off to Flux restarted pods",
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=(
            "Flux always upgrades a release once when it takes it over. "
            "If the chart, the version or the values differ, pods are replaced."
        ),
        remedy=(
            "Compare what helmfile installed with the HelmRelease. "
            "Nothing is broken once the pods run again."
        ),
        anchor="the-hand-off-caused-no-rollout",
        commands=(
            "helm --namespace <namespace> history <release>",
            "helm --namespace <namespace> get values <release> --revision 1",
        ),
    ),
    Row(
        id="FL-250",
        title="something of Flux is suspended",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "Somebody suspended it, by hand or with `spec.suspend: true` in Git. "
            "Flux keeps showing it as Ready, and ignores every new commit for it."
        ),
        remedy=(
            "Resume it; the last observation has the command. "
            "If Git says `spec.suspend: true`, remove that first: Flux would suspend it again."
        ),
        anchor="the-gitrepository-is-ready",
        commands=(
            "flux get all --all-namespaces",
            "flux resume source git <name> --namespace <namespace>",
            "flux resume kustomization <name> --namespace <namespace>",
            "flux resume helmrelease <name> --namespace <namespace>",
        ),
    ),
    Row(
        id="FL-253",
        title="a HelmRelease is gone",
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=(
            "Somebody deleted it, or its CRD and with that every object of its kind. "
            "The Kustomization applies it again, but only at its next interval."
        ),
        remedy="Have Flux apply what is in Git now, then run the same command again.",
        anchor="flux-has-taken-over-every-release",
        commands=(
            "flux reconcile kustomization flux-system --namespace flux-system --with-source",
            "flux get helmreleases --all-namespaces",
        ),
    ),
    Row(
        id="FL-066",
        title="Flux has given up on a release",
        failure_class=FailureClass.FATAL,
        where="a HelmRelease's conditions",
        cause=(
            "The release did not become healthy within the HelmRelease's timeout, "
            "and all attempts are used up."
        ),
        remedy=(
            "Fix what its first error reports, set `timeout` and the RetryOnFailure strategy, "
            "and reconcile it again."
        ),
        anchor="flux-has-taken-over-every-release",
        commands=(
            "kubectl --namespace <namespace> describe helmrelease <release>",
            "flux reconcile helmrelease <release> --namespace <namespace> --reset",
        ),
        patterns=(
            r"(install|upgrade) retries exhausted",
            r"Failed to (install|upgrade) after \d+ attempt\(s\)",
        ),
    ),
    Row(
        id="FL-104",
        title="Flux cannot clone the repository",
        failure_class=FailureClass.FATAL,
        where="source-controller, the criterion's last observation",
        cause=(
            "The deploy key is not among the repository's deploy keys, "
            "or has the wrong permissions."
        ),
        remedy=(
            "Check the deploy keys in the repository's settings, and the contents of the Secret."
        ),
        anchor="the-gitrepository-is-ready",
        commands=(
            SOURCE_LOGS,
            "kubectl --namespace flux-system describe gitrepository flux-system",
        ),
        patterns=(
            r"unable to clone|failed to checkout and determine revision|failed to list remote",
        ),
    ),
)
