"""The keys that talhelper knows in a talconfig.yaml, as a shape.

Taken from talhelper's documented format: a key that is not here would be ignored by `talosctl gen config` and refused by
talhelper, so it is a mistake in both cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.definition.shape import (
    ANYTHING,
    FLAG,
    NUMBER,
    REQUIRED_TEXT,
    TEXT,
    TEXT_MAP,
    TEXTS,
    Shape,
    list_of,
    mapping,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SELECTOR = mapping(
    {
        "busPath": TEXT,
        "hardwareAddr": TEXT,
        "permanentAddr": TEXT,
        "pciID": TEXT,
        "driver": TEXT,
        "physical": FLAG,
    }
)
_ROUTE = mapping(
    {"network": TEXT, "gateway": TEXT, "source": TEXT, "metric": NUMBER, "mtu": NUMBER}
)
_VIP = mapping({"ip": REQUIRED_TEXT})
_DHCP_OPTIONS = mapping({"routeMetric": NUMBER, "ipv4": FLAG, "ipv6": FLAG, "duidv6": TEXT})

_BOND = mapping(
    {
        "interfaces": TEXTS,
        "deviceSelectors": list_of(_SELECTOR),
        "mode": REQUIRED_TEXT,
        "arpIPTarget": TEXTS,
        "xmitHashPolicy": TEXT,
        "lacpRate": TEXT,
        "adActorSystem": TEXT,
        "arpValidate": TEXT,
        "arpAllTargets": TEXT,
        "primary": TEXT,
        "primaryReselect": TEXT,
        "failOverMac": TEXT,
        "adSelect": TEXT,
        "miimon": NUMBER,
        "updelay": NUMBER,
        "downdelay": NUMBER,
        "arpInterval": NUMBER,
        "resendIgmp": NUMBER,
        "minLinks": NUMBER,
        "lpInterval": NUMBER,
        "packetsPerSlave": NUMBER,
        "numPeerNotif": NUMBER,
        "tlbDynamicLb": NUMBER,
        "allSlavesActive": NUMBER,
        "useCarrier": FLAG,
        "adActorSysPrio": NUMBER,
        "adUserPortKey": NUMBER,
        "peerNotifyDelay": NUMBER,
    }
)

_VLAN = mapping(
    {
        "vlanId": Shape("a whole number", required=True),
        "addresses": TEXTS,
        "routes": list_of(_ROUTE),
        "dhcp": FLAG,
        "mtu": NUMBER,
        "vip": _VIP,
        "dhcpOptions": _DHCP_OPTIONS,
    }
)

_INTERFACE = mapping(
    {
        "interface": TEXT,
        "deviceSelector": _SELECTOR,
        "addresses": TEXTS,
        "routes": list_of(_ROUTE),
        "bond": _BOND,
        "bridge": ANYTHING,
        "bridgePort": ANYTHING,
        "vlans": list_of(_VLAN),
        "mtu": NUMBER,
        "dhcp": FLAG,
        "ignore": FLAG,
        "dummy": FLAG,
        "dhcpOptions": _DHCP_OPTIONS,
        "wireguard": ANYTHING,
        "vip": _VIP,
    }
)

_GROUP: Mapping[str, Shape] = {
    "nodeLabels": TEXT_MAP,
    "nodeAnnotations": TEXT_MAP,
    "nodeTaints": TEXT_MAP,
    "machineDisks": ANYTHING,
    "machineFiles": ANYTHING,
    "disableSearchDomain": FLAG,
    "kernelModules": ANYTHING,
    "nameservers": TEXTS,
    "networkInterfaces": list_of(_INTERFACE),
    "extraManifests": TEXTS,
    "certSANs": TEXTS,
    "patches": TEXTS,
    "talosImageURL": TEXT,
    "noSchematicValidate": FLAG,
    "schematic": ANYTHING,
    "imageSchematic": ANYTHING,
    "machineSpec": ANYTHING,
    "ingressFirewall": ANYTHING,
    "extensionServices": ANYTHING,
    "volumes": ANYTHING,
    "userVolumes": ANYTHING,
    "filenameTmpl": TEXT,
}

_NODE = mapping(
    {
        "hostname": REQUIRED_TEXT,
        "ipAddress": REQUIRED_TEXT,
        "controlPlane": Shape("true or false", required=True),
        "installDisk": TEXT,
        "installDiskSelector": Shape("a mapping"),
        "ignoreHostname": FLAG,
        "overridePatches": FLAG,
        "overrideExtraManifests": FLAG,
        "overrideMachineCertSANs": FLAG,
        **_GROUP,
    }
)

TALCONFIG = mapping(
    {
        "clusterName": REQUIRED_TEXT,
        "talosVersion": REQUIRED_TEXT,
        "kubernetesVersion": REQUIRED_TEXT,
        "endpoint": REQUIRED_TEXT,
        "domain": TEXT,
        "allowSchedulingOnMasters": FLAG,
        "allowSchedulingOnControlPlanes": FLAG,
        "additionalMachineCertSans": TEXTS,
        "additionalApiServerCertSans": TEXTS,
        "inlineManifests": ANYTHING,
        "clusterPodNets": TEXTS,
        "clusterSvcNets": TEXTS,
        "cniConfig": mapping({"name": REQUIRED_TEXT, "urls": TEXTS}),
        "patches": TEXTS,
        "nodes": list_of(_NODE, required=True),
        "imageFactory": TEXT_MAP,
        "controlPlane": mapping(_GROUP),
        "worker": mapping(_GROUP),
    }
)
