"""Check encryption: the rules of .sops.yaml, and that each *.sops.yaml file follows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.definition import document
from firstlight.definition.document import leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings

CONFIG = Path(".sops.yaml")
SUFFIX = ".sops.yaml"
ENCRYPTED = "ENC["
_ARMOR = "-----BEGIN AGE ENCRYPTED FILE-----"

# An X25519 recipient is 32 bytes in Bech32 (BIP 173) with the prefix `age`.
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_RECIPIENT_PREFIX = "age"
_RECIPIENT_LENGTH = 62
"""Prefix, separator, 52 characters of key, 6 of checksum."""


@dataclass(frozen=True, slots=True)
class SopsRule:
    """One creation rule.

    Attributes:
        pattern: Matches the paths that the rule applies to.
        encrypted_regex: Matches the keys whose values are encrypted; empty for all.
        recipients: The AGE public keys that can decrypt.
        first_recipient: The first of them in the order of the file.
    """

    pattern: re.Pattern[str]
    encrypted_regex: str
    recipients: frozenset[str]
    first_recipient: str


@dataclass(frozen=True, slots=True)
class SopsConfig:
    """The creation rules of .sops.yaml; the first one that matches a path applies.

    Attributes:
        rules: The rules in the order of the file.
        complete: Whether every rule is valid.
    """

    rules: tuple[SopsRule, ...]
    complete: bool

    def rule_for(self, path: Path) -> SopsRule | None:
        """Return the rule that sops applies to a file."""
        return next((rule for rule in self.rules if rule.pattern.search(path.as_posix())), None)


def read_sops_config(root: Path, findings: Findings) -> SopsConfig:
    """Return the creation rules, and add problems."""
    found = document.read_document(root, CONFIG, findings)
    if found is None:
        return SopsConfig((), complete=False)
    entries = document.list_at(found.mapping, "creation_rules")
    if not entries:
        findings.missing_field(
            CONFIG,
            "creation_rules",
            message="the file has no rules",
            fix="add `creation_rules:` (a list)",
        )
        return SopsConfig((), complete=False)
    rules = [
        _rule(f"creation_rules[{index}]", entry, findings) for index, entry in enumerate(entries)
    ]
    return SopsConfig(tuple(rule for rule in rules if rule is not None), complete=None not in rules)


def _rule(field: str, entry: object, findings: Findings) -> SopsRule | None:
    data: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    pattern, age = data.get("path_regex", ""), data.get("age")
    if not isinstance(pattern, str) or not _is_regex(pattern):
        findings.add(
            CONFIG,
            f"{field}.path_regex",
            pattern,
            rule="bad-pattern",
            message="this is not a regular expression",
            fix="write it like clusters/.*\\.sops\\.yaml$",
        )
        return None
    texts = age if isinstance(age, list) else [age]
    recipients = [
        part.strip() for text in texts for part in str(text or "").split(",") if part.strip()
    ]
    if not recipients:
        findings.missing_field(
            CONFIG,
            f"{field}.age",
            message="the rule has no AGE recipient",
            fix="add `age: age1...`",
        )
        return None
    for recipient in recipients:
        if not is_recipient(recipient):
            is_private = recipient.upper().startswith("AGE-SECRET-KEY")
            findings.add(
                CONFIG,
                f"{field}.age",
                # Never print a private key that was pasted here by mistake.
                "a private key" if is_private else recipient,
                rule="bad-age-recipient",
                message="this is not a valid AGE public key: its form or its checksum is wrong",
                fix="copy it again (`age-keygen -y keys.txt` prints it)",
            )
            return None
    scope = str(data.get("encrypted_regex", ""))
    return SopsRule(re.compile(pattern), scope, frozenset(recipients), recipients[0])


def is_recipient(text: str) -> bool:
    """Report whether a text is a well-formed AGE public key; the checksum catches any typo."""
    prefix, _, data = text.rpartition("1")
    if (
        prefix != _RECIPIENT_PREFIX
        or len(text) != _RECIPIENT_LENGTH
        or not set(data) <= set(_BECH32)
    ):
        return False
    expanded = (
        [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    )
    return _bech32_checksum([*expanded, *(_BECH32.index(letter) for letter in data)]) == 1


def _bech32_checksum(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def check_encrypted(found: Document, config: SopsConfig, findings: Findings) -> None:
    """Check that a document is wholly encrypted, to the recipients and scope of .sops.yaml."""
    sops = document.mapping_at(found.mapping, "sops")
    if not str(sops.get("mac")).startswith(ENCRYPTED):
        _add_not_encrypted(
            found.path,
            "sops",
            message="the file is not encrypted: its sops metadata is missing or incomplete",
            fix=f"run `sops encrypt --in-place {found.path}`; replace the secrets in it if the "
            "file was ever committed",
            findings=findings,
        )
        return
    _check_leaves(found, sops, findings)
    _check_data_keys(found, sops, findings)
    if config.complete:
        _check_rule(found, sops, config, findings)


def _check_leaves(found: Document, sops: Mapping[str, Any], findings: Findings) -> None:
    pattern = sops.get("encrypted_regex")
    chosen = re.compile(pattern) if isinstance(pattern, str) and _is_regex(pattern) else None
    content = {key: part for key, part in found.mapping.items() if key != "sops"}
    for name, value in leaves(content, ""):
        covered = chosen is None or any(chosen.search(key) for key in re.split(r"[.\[]", name))
        # sops does not encrypt empty strings and nulls.
        if covered and value not in (None, "") and not str(value).startswith(ENCRYPTED):
            _add_not_encrypted(
                found.path,
                name,
                message="the value is in plain text in an encrypted file",
                fix=f"edit the value with `sops {found.path}`, never with a plain editor",
                findings=findings,
            )


def _check_data_keys(found: Document, sops: Mapping[str, Any], findings: Findings) -> None:
    for index, entry in enumerate(document.list_at(sops, "age")):
        enc = document.value_at(entry, "enc")
        if not isinstance(enc, str) or not enc.startswith(_ARMOR):
            findings.add(
                found.path,
                f"sops.age[{index}].enc",
                None,
                rule="data-key-missing",
                message="the encrypted data key is missing, so the file cannot be decrypted",
                fix="restore the file from Git, and change it only with `sops`",
            )


def _check_rule(
    found: Document, sops: Mapping[str, Any], config: SopsConfig, findings: Findings
) -> None:
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
            message="the encrypted part of the file differs from .sops.yaml, so values may be in "
            "plain text",
            fix="decrypt the file, then encrypt it again with the rule of .sops.yaml",
        )
    recipients = {
        str(entry.get("recipient"))
        for entry in document.list_at(sops, "age")
        if isinstance(entry, dict)
    }
    if recipients != rule.recipients:
        findings.add(
            found.path,
            "sops.age",
            ", ".join(sorted(recipients)) or None,
            rule="recipient-differs",
            message="the recipients of the file differ from those in .sops.yaml",
            fix=f"run `sops updatekeys {found.path}`",
        )


def _add_not_encrypted(
    path: Path, field: str, *, message: str, fix: str, findings: Findings
) -> None:
    findings.add(path, field, None, rule="not-encrypted", message=message, fix=fix)


def _is_regex(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
