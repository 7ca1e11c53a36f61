"""Helm's records of releases, read from the Secrets in which Helm keeps them.

`helm list` decodes every release to print one line for each, and some contain megabytes of CRDs.
The Secrets carry name, status and revision as labels; only a record that is asked for is decoded,
and only once, because a Secret of the same resource version has the same content.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from firstlight.failures import FailureClass
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS, Object
from firstlight.tools.reading import Unreadable, read_yaml_documents

CRD = "CustomResourceDefinition"

GOOD = ("deployed", "superseded")
"""The states of a revision that was deployed once."""

_SCHEMA = re.compile(r"^(?:spec|status):.*\n(?:(?:[ #].*)?\n)*", re.MULTILINE)
"""The part of a CRD without its name; parsing it takes seconds, because it has megabytes."""

_CRD_FILE = re.compile(r"crds/.*\.(?:yaml|yml|json)")
"""The files of a chart that Helm installs as CRDs (`Chart.CRDObjects` in Helm)."""


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """The newest revision of a release, from the labels of its record.

    Attributes:
        name: Its name.
        namespace: Its namespace.
        status: `deployed`, `failed`, `pending-install` and so on.
        revision: Its revision, counted from one.
        content: Identifies the content of its record.
    """

    name: str
    namespace: str
    status: str
    revision: int
    content: str = ""


class HelmRecords:
    """The records of one cluster."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._decoded: dict[str, dict[str, Any]] = {}

    def releases(self, name: str = "") -> tuple[InstalledRelease, ...]:
        """List the releases in all states, or those of one name.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: The API server refused.
            Unreadable: A record does not have the labels that Helm sets.
        """
        newest: dict[tuple[str, str], InstalledRelease] = {}
        for found in self._revisions(name):
            identity = (found.name, found.namespace)
            if identity not in newest or newest[identity].revision < found.revision:
                newest[identity] = found
        return tuple(newest[identity] for identity in sorted(newest))

    def find(self, name: str, namespace: str) -> InstalledRelease | None:
        """Return a release, or None if there is no such release.

        Raises:
            FirstlightError: As `releases`.
        """
        return next((each for each in self.releases(name) if each.namespace == namespace), None)

    def last_good_revision(self, release: InstalledRelease) -> int | None:
        """Return the newest revision of a release that was ever deployed, or None.

        Raises:
            FirstlightError: As `releases`.
        """
        return max(
            (
                each.revision
                for each in self._revisions(release.name)
                if each.namespace == release.namespace and each.status in GOOD
            ),
            default=None,
        )

    def chart(self, release: InstalledRelease) -> str:
        """Return chart and version of a release in one word, such as `cilium-1.18.5`.

        Raises:
            Unreadable: The record is gone, or is not one of Helm's.
        """
        metadata = _part(_part(self._record(release), "chart"), "metadata")
        return f"{metadata.get('name')}-{metadata.get('version')}"

    def values(self, name: str, namespace: str) -> dict[str, Any]:
        """Return the values that a release was installed with.

        Raises:
            Unreadable: There is no such release, or its record is not one of Helm's.
        """
        return _part(self._named(name, namespace), "config", optional=True)

    def first_deployed(self, name: str, namespace: str) -> datetime:
        """Return when a release was first deployed; each revision keeps that time.

        Raises:
            Unreadable: There is no such release, or its record does not contain it.
        """
        info = _part(self._named(name, namespace), "info")
        try:
            return datetime.fromisoformat(str(info["first_deployed"])).astimezone(UTC)
        except (LookupError, ValueError):
            raise _unreadable("it does not say when it was first deployed") from None

    def crds(self, name: str, namespace: str) -> tuple[str, ...]:
        """Return the names of the CRDs that a release brought: templates, and files of `crds/`.

        Raises:
            Unreadable: There is no such release, or its record is not one of Helm's.
        """
        record = self._named(name, namespace)
        return tuple(parse_crds("\n---\n".join((str(record.get("manifest", "")), *_files(record)))))

    def _named(self, name: str, namespace: str) -> dict[str, Any]:
        release = self.find(name, namespace)
        if release is None:
            raise Unreadable(
                f"the record of release {name}",
                f"it does not exist in {namespace}",
                failure_class=FailureClass.RETRY,
            )
        return self._record(release)

    def _revisions(self, name: str) -> Iterator[InstalledRelease]:
        labels = f"owner=helm,name={name}" if name else "owner=helm"
        items, _ = self._kubernetes.list(SECRETS, labels=labels, metadata_only=True)
        for item in items:
            metadata = item["metadata"]
            found = metadata.get("labels") or {}
            try:
                yield InstalledRelease(
                    name=str(found["name"]),
                    namespace=str(metadata["namespace"]),
                    status=str(found["status"]),
                    revision=int(found["version"]),
                    content=f"{metadata['uid']}/{metadata['resourceVersion']}",
                )
            except (LookupError, ValueError):
                raise _unreadable("it does not have Helm's labels") from None

    def _record(self, release: InstalledRelease) -> dict[str, Any]:
        record = self._decoded.get(release.content)
        if record is None:
            secret = self._kubernetes.get(
                SECRETS, release.namespace, f"sh.helm.release.v1.{release.name}.v{release.revision}"
            )
            if secret is None:
                raise _unreadable("it was deleted meanwhile")
            record = decode(secret)
            # It may have changed since it was listed, so its own version counts.
            metadata = secret["metadata"]
            self._decoded[f"{metadata['uid']}/{metadata['resourceVersion']}"] = record
        return record


def decode(secret: Object) -> dict[str, Any]:
    """Return the release that a Secret of Helm contains: gzipped JSON, in base64 twice.

    Raises:
        Unreadable: It contains something else.
    """
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        record = json.loads(gzip.decompress(packed))
    except (LookupError, TypeError, ValueError, OSError, EOFError, zlib.error):
        raise _unreadable("it does not have Helm's format") from None
    if not isinstance(record, dict):
        raise _unreadable("it does not have Helm's format")
    return record


def parse_crds(text: str) -> list[str]:
    """Read the names of the CRDs in manifests.

    Raises:
        Unreadable: The head of one is not valid YAML, or has no name.
    """
    names = []
    for manifest in re.split(r"^---.*$", text, flags=re.MULTILINE):
        if CRD not in manifest:
            continue
        head = _SCHEMA.sub("", f"{manifest}\n")
        for found in read_yaml_documents(head, "the record of a release"):
            if not isinstance(found, dict) or found.get("kind") != CRD:
                continue
            metadata = found.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise Unreadable("the record of a release", "it has a CRD without a name")
            names.append(str(metadata["name"]))
    return names


def _files(record: dict[str, Any]) -> Iterator[str]:
    """Yield the content of the files in `crds/` of a release's chart."""
    files = _part(record, "chart").get("files") or []
    try:
        for file in files:
            if _CRD_FILE.fullmatch(str(file["name"])):
                yield base64.b64decode(file["data"]).decode()
    except (LookupError, TypeError, ValueError):
        raise _unreadable("a file of its chart is not one") from None


def _part(record: dict[str, Any], name: str, *, optional: bool = False) -> dict[str, Any]:
    part = record.get(name)
    if part is None and optional:
        return {}
    if not isinstance(part, dict):
        raise _unreadable(f"its {name} is not a mapping")
    return part


def _unreadable(seen: str) -> Unreadable:
    return Unreadable("the record of a release", seen, failure_class=FailureClass.RETRY)
