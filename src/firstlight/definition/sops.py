"""Rules for encryption: the recipients of .sops.yaml, and that every *.sops.yaml file is encrypted to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.definition import document
from firstlight.definition.age import is_recipient
from firstlight.definition.document import leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings

CONFIG = Path(".sops.yaml")
SUFFIX = ".sops.yaml"
ENCRYPTED = "ENC["


@dataclass(frozen=True, slots=True)
class SopsRule:
    """One creation rule.

    Attributes:
        pattern: Matches the paths that the rule is for.
        encrypted_regex: Matches the keys below which values are encrypted, empty for all.
        recipients: To whom.
        first_recipient: The first of them in the order of the file.
    """

    pattern: re.Pattern[str]
    encrypted_regex: str
    recipients: frozenset[str]
    first_recipient: str


@dataclass(frozen=True, slots=True)
class SopsConfig:
    """The creation rules of .sops.yaml, of which the first that matches a path counts.

    Attributes:
        rules: The rules in the order of the file.
        complete: Whether every rule could be understood.
    """

    rules: tuple[SopsRule, ...]
    complete: bool

    def rule_for(self, path: Path) -> SopsRule | None:
        """Return the rule that sops takes for a file."""
        return next((rule for rule in self.rules if rule.pattern.search(path.as_posix())), None)


def read_sops_config(root: Path, findings: Findings) -> SopsConfig:
    """Return the creation rules; what is wrong is noted."""
    found = document.read_document(root, CONFIG, findings)
    if found is None:
        return SopsConfig((), complete=False)
    entries = found.mapping.get("creation_rules")
    if not isinstance(entries, list) or not entries:
        findings.add(
            CONFIG,
            "creation_rules",
            None,
            rule="missing-field",
            message="the file has no rules",
            fix="add `creation_rules:` (a list)",
        )
        return SopsConfig((), complete=False)
    rules = [
        _rule(f"creation_rules[{index}]", entry, findings) for index, entry in enumerate(entries)
    ]
    return SopsConfig(tuple(rule for rule in rules if rule is not None), complete=None not in rules)


def check_encrypted(found: Document, config: SopsConfig, findings: Findings) -> None:
    """Note where a *.sops.yaml file is not encrypted, not wholly, or not to the recipients of .sops.yaml."""
    sops = found.mapping.get("sops")
    if not isinstance(sops, dict) or not str(sops.get("mac")).startswith(ENCRYPTED):
        findings.add(
            found.path,
            "sops",
            None,
            rule="not-encrypted",
            message="the file is not encrypted: its sops metadata is missing or incomplete",
            fix=f"run `sops encrypt --in-place {found.path}`, and change what was in it if it was ever committed",
        )
        return
    _check_leaves(found, sops, findings)
    if not config.complete:
        return
    rule = config.rule_for(found.path)
    if rule is None:
        findings.add(
            CONFIG,
            "creation_rules",
            found.path,
            rule="no-sops-rule",
            message="no rule matches the file",
            fix="add a rule whose path_regex matches it",
        )
        return
    if sops.get("encrypted_regex", "") != rule.encrypted_regex or "unencrypted_regex" in sops:
        findings.add(
            found.path,
            "sops.encrypted_regex",
            sops.get("encrypted_regex"),
            rule="sops-scope-differs",
            message="another part of the file is encrypted than .sops.yaml says, so values may be in clear",
            fix="decrypt it, and encrypt it again under the rule of .sops.yaml",
        )
    entries = sops.get("age")
    recipients = (
        {str(entry.get("recipient")) for entry in entries if isinstance(entry, dict)}
        if isinstance(entries, list)
        else set()
    )
    if recipients != rule.recipients:
        findings.add(
            found.path,
            "sops.age",
            ", ".join(sorted(recipients)) or None,
            rule="recipient-differs",
            message="the file is encrypted to other recipients than .sops.yaml names",
            fix=f"run `sops updatekeys {found.path}`",
        )


def _check_leaves(found: Document, sops: Mapping[str, Any], findings: Findings) -> None:
    pattern = sops.get("encrypted_regex")
    chosen = re.compile(pattern) if isinstance(pattern, str) and _is_regex(pattern) else None
    for name, value in leaves(
        {key: part for key, part in found.mapping.items() if key != "sops"}, ""
    ):
        covered = chosen is None or any(chosen.search(key) for key in re.split(r"[.\[]", name))
        # sops leaves empty texts and nulls as they are.
        if covered and value not in (None, "") and not str(value).startswith(ENCRYPTED):
            findings.add(
                found.path,
                name,
                None,
                rule="not-encrypted",
                message="the value is in clear in a file that is otherwise encrypted",
                fix=f"change the value with `sops {found.path}`, never with an editor alone",
            )


def _rule(field: str, entry: object, findings: Findings) -> SopsRule | None:
    data: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    pattern, age = data.get("path_regex", ""), data.get("age")
    if not isinstance(pattern, str) or not _is_regex(pattern):
        findings.add(
            CONFIG,
            f"{field}.path_regex",
            pattern,
            rule="bad-pattern",
            message="this is no regular expression",
            fix="write it like clusters/.*\\.sops\\.yaml$",
        )
        return None
    texts = age if isinstance(age, list) else [age]
    recipients = [
        part.strip() for text in texts for part in str(text or "").split(",") if part.strip()
    ]
    if not recipients:
        findings.add(
            CONFIG,
            f"{field}.age",
            None,
            rule="missing-field",
            message="the rule names no AGE recipient",
            fix="add `age: age1...`",
        )
        return None
    for recipient in recipients:
        if not is_recipient(recipient):
            findings.add(
                CONFIG,
                f"{field}.age",
                # A private key in this place is worth more than the message.
                "a private key" if recipient.upper().startswith("AGE-SECRET-KEY") else recipient,
                rule="bad-age-recipient",
                message="this is no AGE public key, or a mistyped one: its checksum does not hold",
                fix="copy it again (`age-keygen -y keys.txt` prints it)",
            )
            return None
    return SopsRule(
        re.compile(pattern),
        str(data.get("encrypted_regex", "")),
        frozenset(recipients),
        recipients[0],
    )


def _is_regex(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
