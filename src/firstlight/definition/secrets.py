"""Check that the repository holds no plain secret: only encrypted files and `op://` references."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.definition import document, sops
from firstlight.definition.findings import Findings
from firstlight.definition.model import SECRETS_TEMPLATE, SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.model import FluxSync

# `op inject` ends a bare reference at a space or quote; between double braces, spaces are allowed.
_REFERENCE = re.compile(r"\{\{\s*(?P<enclosed>op://[^{}]*?)\s*\}\}|(?P<bare>op://[^\s\"'{}|]*)")
_COMPLETE = re.compile(r"op://[^/]+/[^/]+(/[^/]+)?/[^/]+")
_PRIVATE_KEY = re.compile(rb"AGE-SECRET-KEY-1[0-9A-Z]{20,}|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PEM_IN_BASE64 = re.compile(rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{24,}")
"""Base64 of `-----BEGIN `, as in kubeconfig and talosconfig; the kind of PEM follows."""
_HEAD_LENGTH = 48
"""Base64 characters that cover the first line of any PEM: a multiple of four, so they decode."""
_SECRET = re.compile(r"kind[\"']?\s*:\s*[\"']?Secret\b")
_YAML_FILES = {".yaml", ".yml", ".tpl", ".gotmpl", ".json"}
_TEXT_FILES = {*_YAML_FILES, ".env", ".txt", ""}


def read_references(root: Path, path: Path, findings: Findings) -> tuple[SecretReference, ...]:
    """Return every op:// reference of a template, and add a finding for each incomplete one."""
    text = document.read_text(root, path, findings)
    references = []
    # `op inject` also replaces references in comments, so every line counts.
    for number, line in enumerate((text or "").splitlines(), start=1):
        for match in _REFERENCE.finditer(line):
            reference = match["enclosed"] or match["bare"]
            references.append(SecretReference(reference=reference, path=path, line=number))
            if not _COMPLETE.fullmatch(reference.split("?", 1)[0]):
                findings.add(
                    path,
                    f"line {number}",
                    reference,
                    rule="op-reference-without-field",
                    message="the 1Password reference is incomplete",
                    fix="write op://vault/item/field or op://vault/item/section/field",
                )
    return tuple(references)


def check_bootstrap_secrets(root: Path, path: Path, sync: FluxSync, findings: Findings) -> None:
    """Check that the template creates the Secrets that Flux uses."""
    if not (root / path).is_file():
        return
    # check_secrets reports what is wrong with the file itself.
    documents = document.parse_documents(path, _as_yaml(path, _read(root, path)), Findings())
    secrets = {
        (found.namespace or "default", found.name): found.mapping
        for found in documents
        if found.kind == "Secret"
    }
    deploy_key = secrets.get((sync.namespace, sync.secret), {})
    for key in ("identity", "known_hosts"):
        if key not in _keys(deploy_key):
            findings.add(
                path,
                f"{sync.namespace}/{sync.secret}",
                None,
                rule="deploy-key-incomplete",
                message=f"the deploy key's Secret has no `{key}`, which the GitRepository needs",
                fix=f"add a Secret {sync.secret} in {sync.namespace} with identity and "
                "known_hosts, as op:// references",
            )
    age_key = secrets.get((sync.namespace, sync.decryption_secret), {})
    if not any(key.endswith(".agekey") for key in _keys(age_key)):
        findings.add(
            path,
            f"{sync.namespace}/{sync.decryption_secret}",
            None,
            rule="age-key-missing",
            message="the Secret that the Kustomization decrypts with has no key ending in .agekey",
            fix=f"add a Secret {sync.decryption_secret} in {sync.namespace} with `age.agekey`, "
            "as an op:// reference",
        )


def check_secrets(root: Path, config: sops.SopsConfig, findings: Findings) -> None:
    """Add a finding for every unencrypted secret under clusters/ and bootstrap/."""
    for folder in ("clusters", "bootstrap"):
        for path in document.files_below(root, Path(folder)):
            if path.suffix in _TEXT_FILES:
                check_file(root, path, config, findings)


def check_file(root: Path, path: Path, config: sops.SopsConfig, findings: Findings) -> None:
    """Add a finding for every unencrypted secret in one file."""
    raw = _read(root, path)
    _check_private_key(path, raw, findings)
    # .sops.yaml matches *.sops.yaml too, but holds only public keys.
    if path == sops.CONFIG or path.suffix not in _YAML_FILES:
        return
    is_encrypted_name = path.name.endswith(sops.SUFFIX)
    text = raw.decode(errors="replace")
    # Most files hold no Secret: parsing all of them again would double the loading time. A file
    # that cannot be parsed is reported, because its content is unknown.
    if not (is_encrypted_name or _SECRET.search(text)):
        return
    for found in document.parse_documents(path, _as_yaml(path, raw), findings):
        # sops metadata alone proves nothing: it may have been written by hand.
        if is_encrypted_name or "sops" in found.mapping:
            sops.check_encrypted(found, config, findings)
        else:
            _check_plain(found, findings)


def _check_private_key(path: Path, raw: bytes, findings: Findings) -> None:
    found, form = _PRIVATE_KEY.search(raw), ""
    if found is None:
        found, form = next(_keys_in_base64(raw), None), ", in base64"
    if found is not None:
        line = raw.count(b"\n", 0, found.start()) + 1
        findings.add(
            path,
            f"line {line}",
            None,
            rule="plain-private-key",
            message=f"the file holds a private key in plain text{form}",
            fix="remove it, create a new key, and keep that one in 1Password",
        )


def _keys_in_base64(raw: bytes) -> Iterator[re.Match[bytes]]:
    for found in _PEM_IN_BASE64.finditer(raw):
        head = found.group()[: min(_HEAD_LENGTH, len(found.group()) // 4 * 4)]
        if b"PRIVATE KEY" in base64.b64decode(head):
            yield found


def _check_plain(found: Document, findings: Findings) -> None:
    is_template = found.path.name == SECRETS_TEMPLATE
    for field, secret in _secrets_in(found.mapping, ""):
        for section in ("data", "stringData"):
            for key, value in document.mapping_at(secret, section).items():
                if value in (None, "", document.TEMPLATE_WORD):
                    continue
                if is_template and isinstance(value, str) and value.startswith("op://"):
                    continue
                findings.add(
                    found.path,
                    f"{field}{section}.{key}",
                    None,
                    rule="plain-secret",
                    message="the Secret holds a value in plain text",
                    fix=_plain_fix(found.path),
                )


def _plain_fix(path: Path) -> str:
    if path.suffix in {".yaml", ".yml"}:
        encrypted = f"{path.with_suffix('').name}{sops.SUFFIX}"
        return f"rename the file to {encrypted} and run `sops encrypt --in-place`"
    return f"store it in 1Password, and write op://vault/item/field in {SECRETS_TEMPLATE}"


def _secrets_in(data: Mapping[str, Any], field: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if data.get("kind") == "Secret":
        yield field, data
    for index, item in enumerate(document.list_at(data, "items")):
        if isinstance(item, dict):
            yield from _secrets_in(item, f"{field}items[{index}].")


def _read(root: Path, path: Path) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError:
        # The reader that needs the file reports this.
        return b""


def _as_yaml(path: Path, raw: bytes) -> str:
    text = raw.decode(errors="replace")
    if path.name == SECRETS_TEMPLATE:
        return _REFERENCE.sub(lambda match: match["enclosed"] or match["bare"], text)
    return text if path.name.endswith(sops.SUFFIX) else document.without_templates(text)


def _keys(secret: Mapping[str, Any]) -> set[str]:
    return {*document.mapping_at(secret, "data"), *document.mapping_at(secret, "stringData")}
