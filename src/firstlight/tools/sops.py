"""sops: prove that an encrypted file opens with the key that is here."""

from __future__ import annotations

from pathlib import Path

from firstlight.tools.classification import Class, Rule
from firstlight.tools.runner import Runner

DECRYPT_S = 20.0

RULES: tuple[Rule, ...] = (
    # sops draws a box around the reason and breaks its lines anywhere.
    Rule(r"identity did not[\s|]+match|no identity matched any|incorrect[\s|]+identity", Class.FATAL, "FL-203"),
    Rule(r"failed to load age identities|failed to open SOPS_AGE_KEY_FILE|failed to get the data key", Class.FATAL, "FL-202"),
)


class Sops:
    """Decrypt with the key in SOPS_AGE_KEY_FILE."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def decrypt(self, path: Path) -> str:
        """Return a file's plain text; it is told to nobody and never written.

        Raises:
            ToolFailed: No key that is here opens it.
        """
        result = self._runner.run(["sops", "--decrypt", str(path)], timeout_s=DECRYPT_S, quiet=True)
        step = "put the AGE key that .sops.yaml names into SOPS_AGE_KEY_FILE (~/.config/sops/age/keys.txt)"
        return result.raise_on_failure(f"decrypt {path.name}", rules=RULES, next_step=step).stdout
