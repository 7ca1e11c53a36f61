"""Known failures on the operator's side: 1Password, keys, tools and the definition."""

from firstlight.failures.row import FailureClass, Row

STAGES_NOT_RUN = (
    "The stages that bootstrap the control plane and generate the kubeconfig were not run, "
    "or not on this target."
)
RUN_STAGES = (
    "Run the whole bootstrap, or run these stages first. "
    "A single stage never runs the stages before it."
)
STAGES = (
    "./task bootstrap CLUSTER=<cluster> TARGET=<target>",
    "./task talos:bootstrap CLUSTER=<cluster> TARGET=<target>",
)

ROWS = (
    Row(
        id="FL-204",
        title="a secret reference does not resolve",
        failure_class=FailureClass.FATAL,
        where="op read, op inject",
        cause=(
            "The vault, the item or the field does not exist under that name, is empty, "
            "or is hidden from this account."
        ),
        remedy="Create it in 1Password, or correct the reference in secrets.yaml.tpl.",
        anchor="every-secret-reference-resolves",
        commands=("op item get <item> --vault <vault>",),
        patterns=(r"isn't a vault|could not (resolve|find|get) item|does not have a field",),
        said_by={"op": r"isn't an item"},
    ),
    Row(
        id="FL-029",
        title="1Password limits requests",
        failure_class=FailureClass.RETRY,
        where="op",
        cause=(
            "The quota belongs to the whole account, per hour and per day, "
            "so other users of the account consume it too."
        ),
        remedy=(
            "A run reads the secrets only once. Wait until the quota is renewed; "
            "the command below says when."
        ),
        anchor="every-secret-reference-resolves",
        commands=("op service-account ratelimit",),
        patterns=(r"(?<!429 )too many requests|(?<!api )rate limit exceeded",),
        said_by={"op": r"Too many requests|rate limit exceeded"},
        # Each further call counts against the exhausted quota.
        pause_s=15.0,
    ),
    Row(
        id="FL-028",
        title="a secret reference is incomplete",
        failure_class=FailureClass.FATAL,
        where="op read, op inject",
        cause=(
            "A reference needs a vault, an item and a field. "
            "One of them is missing, or contains a forbidden character."
        ),
        remedy=(
            "Write `op://vault/item/field` or `op://vault/item/section/field` in secrets.yaml.tpl."
        ),
        anchor="every-secret-reference-resolves",
        commands=('op read "op://<vault>/<item>/<field>" >/dev/null',),
        patterns=(r"secret reference has invalid format|invalid secret reference",),
        rules=("op-reference-without-field",),
    ),
    Row(
        id="FL-201",
        title="you are not signed in to 1Password",
        failure_class=FailureClass.FATAL,
        where="op",
        cause="The session of `op` has expired, or this shell never had one.",
        remedy="Sign in, in the same shell, and run the same command again.",
        anchor="1password-is-signed-in",
        commands=("eval $(op signin)", "op whoami"),
        patterns=(
            r"not (currently )?signed in|session expired|no account found for filter",
            r"No accounts configured for use with 1Password CLI",
        ),
        said_by={
            "op": r"not (currently )?signed in|no account|session expired|authentication required"
        },
    ),
    Row(
        id="FL-232",
        title="1Password holds another kubeconfig",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "Somebody pushed the kubeconfig of an earlier cluster of this name, "
            "or pushed one during this run."
        ),
        remedy=(
            "Push this one. If the other one returns, somebody else is bootstrapping the same "
            "cluster."
        ),
        anchor="kubeconfig-is-pushed-to-1password",
        commands=("./task op:push CLUSTER=<cluster> TARGET=<target>",),
    ),
    Row(
        id="FL-203",
        title="the AGE key is the wrong one",
        failure_class=FailureClass.FATAL,
        where="sops",
        cause="An AGE key was found, but the file is encrypted for another one.",
        remedy=(
            "Put the private key of the recipient that .sops.yaml names into the key file. "
            "The key is in 1Password."
        ),
        anchor="the-age-key-opens-the-talos-secrets",
        commands=("age-keygen -y ~/.config/sops/age/keys.txt", "cat .sops.yaml"),
        # sops draws a box around the reason and breaks its lines anywhere.
        patterns=(
            r"identity did not[\s|]+match|no identity matched any",
            r"incorrect[\s|]+identity for[\s|]+recipient",
        ),
        said_by={
            "sops": (r"identity did not[\s|]+match|no identity matched any|incorrect[\s|]+identity")
        },
    ),
    Row(
        id="FL-202",
        title="the AGE key is missing",
        failure_class=FailureClass.FATAL,
        where="sops",
        cause="There is no AGE key where sops looks for it.",
        remedy=(
            "Put the key into ~/.config/sops/age/keys.txt with mode 0600, "
            "or name another file in SOPS_AGE_KEY_FILE."
        ),
        anchor="the-age-key-opens-the-talos-secrets",
        commands=("ls -l ~/.config/sops/age/keys.txt",),
        patterns=(r"failed to load age identities|failed to open SOPS_AGE_KEY_FILE",),
        said_by={
            "sops": (
                r"failed to load age identities|failed to open SOPS_AGE_KEY_FILE"
                r"|failed to get the data key"
            )
        },
    ),
    Row(
        id="FL-219",
        title="a tool is missing or has the wrong version",
        failure_class=FailureClass.FATAL,
        where="the criterion's error",
        cause="Setup was not run, was interrupted, or was run for other versions.",
        remedy="Run setup. It continues where it stopped.",
        anchor="every-tool-is-there-at-its-pinned-version",
        commands=("./task tools:setup", "./task tools"),
    ),
    Row(
        id="FL-236",
        title="there is no kubeconfig",
        failure_class=FailureClass.FATAL,
        where="helm, kubectl, the criterion's error",
        cause=STAGES_NOT_RUN,
        remedy=RUN_STAGES,
        anchor="kubeconfig-is-generated",
        commands=STAGES,
        patterns=(r"cluster unreachable: stat \S+: no such file",),
        said_by={
            "helm": r"cluster unreachable: [^\n]*no such file",
            "kubectl": r"error: stat [^\n]*: no such file",
        },
    ),
    Row(
        id="FL-243",
        title="there is no kubeconfig yet",
        # Unlike helm and kubectl, which run after the kubeconfig was generated, the API is watched
        # before that: the same run may still generate the file, so this is not FL-236.
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=STAGES_NOT_RUN,
        remedy=RUN_STAGES,
        anchor="kubeconfig-is-generated",
        commands=STAGES,
    ),
    Row(
        id="FL-233",
        title="the cluster's deploy key differs from the one in 1Password",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="The key in 1Password was replaced after the cluster had received its copy.",
        remedy="Apply the bootstrap secrets again.",
        anchor="the-deploy-key-secret-is-the-one-in-1password",
        commands=("./task bootstrap:secrets CLUSTER=<cluster> TARGET=<target>",),
    ),
)
