"""Check data for unknown keys, missing keys and values of the wrong type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firstlight.definition.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_PYTHON_TYPES: Mapping[str, type] = {
    "text": str,
    "a whole number": int,
    "true or false": bool,
    "a mapping": dict,
    "a list": list,
    "anything": object,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """What a value must look like.

    Attributes:
        kind: The kind of value, in words that complete "must be ...".
        fields: For a mapping, its known keys; empty if any key is allowed.
        item: The schema of each list entry, or of each value of a mapping without known keys.
        required: Whether the key must be present.
        nullable: Whether the value may be empty, which Kubernetes reads as absent.
        substituted: Whether a text with `${...}` is accepted, which Flux replaces.
    """

    kind: str
    fields: Mapping[str, Schema] = field(default_factory=dict)
    item: Schema | None = None
    required: bool = False
    nullable: bool = False
    substituted: bool = False


ANYTHING = Schema("anything")
TEXT = Schema("text")
NUMBER = Schema("a whole number")
FLAG = Schema("true or false")
REQUIRED_TEXT = Schema("text", required=True)
TEXTS = Schema("a list", item=TEXT)
TEXT_MAP = Schema("a mapping", item=TEXT)


def mapping(fields: Mapping[str, Schema]) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    return Schema("a mapping", fields=fields)


def list_of(item: Schema, *, required: bool = False) -> Schema:
    """Return the schema of a list whose entries share one schema."""
    return Schema("a list", item=item, required=required)


def check(path: Path, data: Any, schema: Schema, findings: Findings, name: str = "") -> bool:
    """Report whether data matches a schema, and add a problem for each mismatch."""
    if (data is None and schema.nullable) or (
        schema.substituted and isinstance(data, str) and "${" in data
    ):
        return True
    if not _is_kind(data, schema.kind):
        fix = _type_fix(data, schema.kind)
        findings.wrong_type(path, name, _seen(data), kind=schema.kind, fix=fix)
        return False
    if isinstance(data, dict) and schema.fields:
        return _check_fields(path, data, schema, findings, name)
    if isinstance(data, dict) and schema.item:
        entries = {_join(name, key): value for key, value in data.items()}
        return _check_items(path, entries, schema.item, findings)
    if isinstance(data, list) and schema.item:
        entries = {f"{name}[{index}]": value for index, value in enumerate(data)}
        return _check_items(path, entries, schema.item, findings)
    return True


def _check_items(path: Path, items: Mapping[str, Any], schema: Schema, findings: Findings) -> bool:
    known = findings.count
    for name, value in items.items():
        check(path, value, schema, findings, name)
    return findings.count == known


def _check_fields(
    path: Path, data: Mapping[str, Any], schema: Schema, findings: Findings, name: str
) -> bool:
    known = findings.count
    for key, value in data.items():
        if key in schema.fields:
            check(path, value, schema.fields[key], findings, _join(name, key))
        else:
            _add_unknown_key(path, key, value, schema, findings, name)
    # The problem of a mistyped key names the key that was meant: do not report it missing too.
    meant = {did_you_mean(key, schema.fields) for key in data if key not in schema.fields}
    for key, wanted in schema.fields.items():
        if wanted.required and key not in data and key not in meant:
            findings.missing_field(path, _join(name, key), fix=f"add `{key}:` ({wanted.kind})")
    return findings.count == known


def _add_unknown_key(
    path: Path, key: str, value: Any, schema: Schema, findings: Findings, name: str
) -> None:
    near = did_you_mean(key, schema.fields)
    known = ", ".join(sorted(schema.fields))
    findings.add(
        path,
        _join(name, key),
        _seen(value),
        rule="unknown-key",
        message=f"the key `{key}` is unknown",
        fix=f"did you mean `{near}`?" if near else f"use one of these keys: {known}",
    )


def _is_kind(data: Any, kind: str) -> bool:
    if isinstance(data, bool):
        # In Python a bool is an int; in YAML it is not.
        return kind in {"true or false", "anything"}
    return isinstance(data, _PYTHON_TYPES[kind])


def _type_fix(data: Any, kind: str) -> str:
    if kind == "text" and not isinstance(data, (dict, list)):
        return "quote the value" if data is not None else "write a value"
    if kind == "true or false" and isinstance(data, str):
        return "write true or false, without quotes"
    if kind == "a whole number" and isinstance(data, str):
        return "write the number without quotes"
    return f"write {kind}"


def _seen(data: Any) -> object:
    # An empty value differs from a missing field.
    return "nothing" if data is None else data


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


# The keys that talhelper documents. talhelper rejects any other key, and `talosctl gen config`
# would ignore it, so an unknown key is always a mistake.

_SELECTOR = mapping(
    {
        **dict.fromkeys(("busPath", "hardwareAddr", "permanentAddr", "pciID", "driver"), TEXT),
        "physical": FLAG,
    }
)
_ROUTE = mapping(
    {
        **dict.fromkeys(("network", "gateway", "source"), TEXT),
        **dict.fromkeys(("metric", "mtu"), NUMBER),
    }
)
_BOND = mapping(
    {
        "mode": REQUIRED_TEXT,
        "deviceSelectors": list_of(_SELECTOR),
        "useCarrier": FLAG,
        **dict.fromkeys(("interfaces", "arpIPTarget"), TEXTS),
        **dict.fromkeys(
            (
                "xmitHashPolicy",
                "lacpRate",
                "adActorSystem",
                "arpValidate",
                "arpAllTargets",
                "primary",
                "primaryReselect",
                "failOverMac",
                "adSelect",
            ),
            TEXT,
        ),
        **dict.fromkeys(
            (
                "miimon",
                "updelay",
                "downdelay",
                "arpInterval",
                "resendIgmp",
                "minLinks",
                "lpInterval",
                "packetsPerSlave",
                "numPeerNotif",
                "tlbDynamicLb",
                "allSlavesActive",
                "adActorSysPrio",
                "adUserPortKey",
                "peerNotifyDelay",
            ),
            NUMBER,
        ),
    }
)
_ADDRESSING: Mapping[str, Schema] = {
    "addresses": TEXTS,
    "routes": list_of(_ROUTE),
    "dhcp": FLAG,
    "mtu": NUMBER,
    "vip": mapping({"ip": REQUIRED_TEXT}),
    "dhcpOptions": mapping({"routeMetric": NUMBER, "ipv4": FLAG, "ipv6": FLAG, "duidv6": TEXT}),
}
_VLAN = mapping({"vlanId": Schema("a whole number", required=True), **_ADDRESSING})
_INTERFACE = mapping(
    {
        "interface": TEXT,
        "deviceSelector": _SELECTOR,
        "bond": _BOND,
        "vlans": list_of(_VLAN),
        **dict.fromkeys(("ignore", "dummy"), FLAG),
        **dict.fromkeys(("bridge", "bridgePort", "wireguard"), ANYTHING),
        **_ADDRESSING,
    }
)
_GROUP: Mapping[str, Schema] = {
    "networkInterfaces": list_of(_INTERFACE),
    **dict.fromkeys(("nodeLabels", "nodeAnnotations", "nodeTaints"), TEXT_MAP),
    **dict.fromkeys(("nameservers", "extraManifests", "certSANs", "patches"), TEXTS),
    **dict.fromkeys(("talosImageURL", "filenameTmpl"), TEXT),
    **dict.fromkeys(("disableSearchDomain", "noSchematicValidate"), FLAG),
    **dict.fromkeys(
        (
            "machineDisks",
            "machineFiles",
            "kernelModules",
            "schematic",
            "imageSchematic",
            "machineSpec",
            "ingressFirewall",
            "extensionServices",
            "volumes",
            "userVolumes",
        ),
        ANYTHING,
    ),
}
_NODE = mapping(
    {
        **dict.fromkeys(("hostname", "ipAddress"), REQUIRED_TEXT),
        "controlPlane": Schema("true or false", required=True),
        "installDisk": TEXT,
        "installDiskSelector": Schema("a mapping"),
        **dict.fromkeys(
            (
                "ignoreHostname",
                "overridePatches",
                "overrideExtraManifests",
                "overrideMachineCertSANs",
            ),
            FLAG,
        ),
        **_GROUP,
    }
)
TALCONFIG = mapping(
    {
        **dict.fromkeys(
            ("clusterName", "talosVersion", "kubernetesVersion", "endpoint"), REQUIRED_TEXT
        ),
        "domain": TEXT,
        **dict.fromkeys(("allowSchedulingOnMasters", "allowSchedulingOnControlPlanes"), FLAG),
        **dict.fromkeys(
            (
                "additionalMachineCertSans",
                "additionalApiServerCertSans",
                "clusterPodNets",
                "clusterSvcNets",
                "patches",
            ),
            TEXTS,
        ),
        "inlineManifests": ANYTHING,
        "cniConfig": mapping({"name": REQUIRED_TEXT, "urls": TEXTS}),
        "nodes": list_of(_NODE, required=True),
        "imageFactory": TEXT_MAP,
        "controlPlane": mapping(_GROUP),
        "worker": mapping(_GROUP),
    }
)
