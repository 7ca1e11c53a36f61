"""op: 1Password's command line, whose output is always secret."""

from __future__ import annotations

from firstlight.definition.model import Cluster
from firstlight.failures import classify
from firstlight.tools.runner import Runner

CALL_S = 30.0

VAULT = "k8s-ops"
"""The platform's vault, as in `secrets.yaml.tpl`."""

MISSING = "FL-204"
"""The row of the failure catalogue for a vault that has no item of that name."""

SIGN_IN = "eval $(op signin), then the same command again"


class OnePassword:
    """Reads and writes items of the operator's 1Password account."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def mask_secrets(self, *values: str) -> None:
        """Mask these values from now on."""
        self._runner.mask_secrets(*values)

    def whoami(self) -> str:
        """Return the signed-in user.

        Raises:
            ToolFailed: Nobody is signed in.
        """
        result = self._runner.run(["op", "whoami"], timeout_s=CALL_S, quiet=True)
        result.raise_on_failure("use 1Password: nobody is signed in", next_step=SIGN_IN)
        return " ".join(result.stdout.split())

    def read(self, reference: str) -> str:
        """Return the value of a reference, and mask it from now on.

        Raises:
            ToolFailed: The reference does not resolve.
        """
        result = self._runner.run(["op", "read", reference], timeout_s=CALL_S, quiet=True)
        result.raise_on_failure(
            f"resolve {reference}",
            next_step="create the item, or correct the reference in secrets.yaml.tpl",
        )
        self.mask_secrets(result.stdout)
        return result.stdout

    def inject(self, template: str) -> str:
        """Return a template with every reference replaced by its value.

        Raises:
            ToolFailed: A reference does not resolve.
        """
        result = self._runner.run(["op", "inject"], input=template, timeout_s=CALL_S, quiet=True)
        result.raise_on_failure(
            "inject secrets from 1Password",
            next_step="create the item, or correct the reference in secrets.yaml.tpl",
        )
        return result.stdout

    def document(self, title: str, vault: str) -> str | None:
        """Return a document, or None if the vault has no document of that title.

        Raises:
            ToolFailed: 1Password did not answer.
        """
        result = self._runner.run(
            ["op", "document", "get", title, "--vault", vault], timeout_s=CALL_S, quiet=True
        )
        row = classify("op", result.stderr)
        if not result.ok and row is not None and row.id == MISSING:
            return None
        return result.raise_on_failure(
            f"read document {title} of vault {vault}", next_step=SIGN_IN
        ).stdout

    def push_document(self, title: str, vault: str, text: str, *, exists: bool) -> None:
        """Create or replace a document.

        Raises:
            ToolFailed: 1Password refused it.
        """
        result = self._runner.run(
            self.push_command(title, vault, exists=exists),
            input=text,
            timeout_s=CALL_S,
            changes=True,
            quiet=True,
        )
        result.raise_on_failure(f"push {title} to vault {vault}", next_step=SIGN_IN)

    @staticmethod
    def push_command(title: str, vault: str, *, exists: bool) -> list[str]:
        """Return the argument list that stores standard input as a document."""
        words = (
            ["op", "document", "edit", title, "-"]
            if exists
            else ["op", "document", "create", "-", "--title", title, "--file-name", title]
        )
        return [*words, "--vault", vault]


def document_title(cluster: Cluster) -> str:
    """Return the title of a cluster's kubeconfig in 1Password."""
    return f"kubeconfig-{cluster.name}"
