"""Rules for secrets in the repository: only encrypted ones, or `op://` references to 1Password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.definition import document, sops
from firstlight.definition.findings import Findings
from firstlight.definition.model import SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.model import FluxSync

TEMPLATE = "secrets.yaml.tpl"

# `op inject` takes a bare reference up to the first space or quote; between double braces it may hold spaces.
_REFERENCE = re.compile(r"\{\{\s*(?P<enclosed>op://[^{}]*?)\s*\}\}|(?P<bare>op://[^\s\"'{}|]*)")
_COMPLETE = re.compile(r"op://[^/]+/[^/]+(/[^/]+)?/[^/]+")
_PRIVATE_KEY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{20,}|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_SECRET = re.compile(r"kind[\"']?\s*:\s*[\"']?Secret\b")
_YAML_FILES = {".yaml", ".yml", ".tpl", ".gotmpl", ".json"}
_TEXT_FILES = {".yaml", ".yml", ".tpl", ".gotmpl", ".json", ".env", ".txt", ""}
_FILE_SIZE_MAX_BYTES = 5_000_000


def read_references(root: Path, path: Path, findings: Findings) -> tuple[SecretReference, ...]:
    """Return every op:// reference of a template; one without a field is noted."""
    text = document.read_text(root, path, findings)
    references = []
    # `op inject` replaces references in comments too, so every line counts.
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
                    message="the 1Password reference is not complete",
                    fix="write op://vault/item/field or op://vault/item/section/field",
                )
    return tuple(references)


def check_bootstrap_secrets(root: Path, path: Path, sync: FluxSync, findings: Findings) -> None:
    """Note where the template does not make the Secrets that Flux is told to use."""
    if not (root / path).is_file():
        return
    # What is wrong with the file as such is noted by the scan of the whole tree.
    documents = document.parse_documents(path, _as_yaml(path, _read(root, path)), Findings())
    secrets = {
        _identity(found.mapping): found.mapping
        for found in documents
        if found.mapping.get("kind") == "Secret"
    }
    deploy_key = secrets.get((sync.namespace, sync.secret))
    for key in ("identity", "known_hosts"):
        if deploy_key is None or key not in _entries(deploy_key):
            findings.add(
                path,
                f"{sync.namespace}/{sync.secret}",
                None,
                rule="deploy-key-incomplete",
                message=f"the Secret of the deploy key lacks `{key}`, which the GitRepository needs",
                fix=f"add a Secret {sync.secret} in {sync.namespace} with identity and known_hosts, as op:// references",
            )
    age_key = secrets.get((sync.namespace, sync.decryption_secret), {})
    if not any(key.endswith(".agekey") for key in _entries(age_key)):
        findings.add(
            path,
            f"{sync.namespace}/{sync.decryption_secret}",
            None,
            rule="age-key-missing",
            message="the Secret of the Kustomization's decryption holds no key that ends in .agekey",
            fix=f"add a Secret {sync.decryption_secret} in {sync.namespace} with `age.agekey`, as an op:// reference",
        )


def check_secrets(root: Path, config: sops.SopsConfig, findings: Findings) -> None:
    """Note every unencrypted secret anywhere below clusters/ and bootstrap/."""
    for path in _files(root):
        check_file(root, path, config, findings)


def check_file(root: Path, path: Path, config: sops.SopsConfig, findings: Findings) -> None:
    """Note every unencrypted secret of one file."""
    raw = _read(root, path)
    if _PRIVATE_KEY.search(raw):
        findings.add(
            path,
            "",
            None,
            rule="plain-private-key",
            message="the file holds a private key in clear",
            fix="take it out, make a new key, and keep the new one in 1Password",
        )
    encrypted_name = path.name.endswith(sops.SUFFIX)
    # Most files hold no Secret: parsing them here as well would double the time of loading. One that cannot be parsed is
    # noted, because nobody can say what is in it.
    if path.suffix not in _YAML_FILES or not (encrypted_name or _SECRET.search(raw)):
        return
    for found in document.parse_documents(path, _as_yaml(path, raw), findings):
        # Metadata of sops alone proves nothing: whoever writes it by hand has encrypted nothing.
        if encrypted_name or "sops" in found.mapping:
            sops.check_encrypted(found, config, findings)
        else:
            _check_plain(found, findings)


def _check_plain(found: Document, findings: Findings) -> None:
    for field, secret in _secrets_in(found.mapping, ""):
        for section in ("data", "stringData"):
            entries = secret.get(section)
            for key, value in entries.items() if isinstance(entries, dict) else ():
                if (
                    found.path.name == TEMPLATE
                    and isinstance(value, str)
                    and value.startswith("op://")
                ):
                    continue
                if value in (None, "", document.TEMPLATE_WORD):
                    continue
                findings.add(
                    found.path,
                    f"{field}{section}.{key}",
                    None,
                    rule="plain-secret",
                    message="the Secret holds a value in clear",
                    fix=_plain_fix(found.path),
                )


def _plain_fix(path: Path) -> str:
    if path.suffix in {".yaml", ".yml"}:
        return f"rename the file to {path.with_suffix('').name}{sops.SUFFIX} and run `sops encrypt --in-place`"
    return f"put it into 1Password, and write op://vault/item/field in {TEMPLATE}"


def _secrets_in(data: Mapping[str, Any], field: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if data.get("kind") == "Secret":
        yield field, data
    items = data.get("items")
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield from _secrets_in(item, f"{field}items[{index}].")


def _files(root: Path) -> Iterator[Path]:
    for folder in ("clusters", "bootstrap"):
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root)
            # clusterconfig/ is generated, 0600, and ignored by Git.
            if file.is_file() and "clusterconfig" not in path.parts and file.suffix in _TEXT_FILES:
                yield path


def _read(root: Path, path: Path) -> str:
    try:
        with (root / path).open("rb") as file:
            return file.read(_FILE_SIZE_MAX_BYTES).decode(errors="replace")
    except OSError:
        # A file that cannot be read is noted by the reader that needs it.
        return ""


def _as_yaml(path: Path, text: str) -> str:
    if path.name == TEMPLATE:
        return _REFERENCE.sub(lambda match: match["enclosed"] or match["bare"], text)
    return text if path.name.endswith(sops.SUFFIX) else document.without_templates(text)


def _identity(data: Mapping[str, Any]) -> tuple[str, str]:
    metadata = data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace", "default")), str(metadata.get("name", ""))


def _entries(secret: Mapping[str, Any]) -> list[str]:
    sections = (secret.get("data"), secret.get("stringData"))
    return [str(key) for section in sections if isinstance(section, dict) for key in section]
