"""Helm's records as it stores them: Secrets with labels that hold gzipped JSON in base64, twice."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS, Kind, Object


def helm_secret(
    name: str,
    *,
    namespace: str = "kube-system",
    status: str = "deployed",
    revision: int = 1,
    chart: str = "",
    values: dict[str, Any] | None = None,
    manifest: str = "",
    crds: str = "",
    first_deployed: str = "2026-11-23T07:30:01.123456789Z",
) -> Object:
    """Return the record of one revision; the chart is `<name>-1.0.0` by default."""
    chart_name, _, version = (chart or f"{name}-1.0.0").rpartition("-")
    files = [{"name": "crds/all.yaml", "data": base64.b64encode(crds.encode()).decode()}]
    record = {
        "name": name,
        "namespace": namespace,
        "version": revision,
        "info": {"first_deployed": first_deployed, "status": status},
        "chart": {
            "metadata": {"name": chart_name, "version": version},
            "files": [{"name": "README.md", "data": "aGk="}, *(files if crds else [])],
        },
        "config": values,
        "manifest": manifest,
    }
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{revision}",
            "namespace": namespace,
            "uid": f"{namespace}/{name}.v{revision}",
            "resourceVersion": status,
            "labels": {
                "owner": "helm",
                "name": name,
                "status": status,
                "version": str(revision),
            },
        },
        "data": {"release": packed(record)},
        "type": "helm.sh/release.v1",
    }


def packed(record: object) -> str:
    """Return a record as Helm encodes it, and the API once more."""
    once = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    return base64.b64encode(once).decode()


class HeldSecrets(Kubernetes):
    """A cluster that holds these Secrets and nothing else."""

    def __init__(self, *secrets: Object) -> None:
        self.secrets = list(secrets)
        self.read: list[str] = []
        """The names of the Secrets whose content was asked for."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        self.read.append(name)
        return next((each for each in self.secrets if self._is(each, namespace, name)), None)

    def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        name: str = "",
        metadata_only: bool = False,
    ) -> tuple[list[Object], str]:
        assert kind is SECRETS
        assert metadata_only, "content that nobody asked for"
        wanted = dict(pair.split("=") for pair in labels.split(","))
        chosen = [
            {"metadata": each["metadata"]}
            for each in self.secrets
            if wanted.items() <= each["metadata"]["labels"].items()
        ]
        return chosen, "100"

    @staticmethod
    def _is(secret: Object, namespace: str, name: str) -> bool:
        metadata = secret["metadata"]
        return (metadata["namespace"], metadata["name"]) == (namespace, name)


def records(*secrets: Object) -> HelmRecords:
    """Return the records of a cluster that holds these."""
    return HelmRecords(HeldSecrets(*secrets))
