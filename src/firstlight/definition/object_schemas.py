"""The fields of the Flux and Kubernetes objects that a definition is made of.

The API server refuses a wrong type, and `kubectl` an unknown field, only at the hand-off, when all
else is installed. kustomize refuses a whole folder for one unknown field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.definition.schema import (
    ANYTHING,
    REQUIRED_TEXT,
    TEXT,
    TEXTS,
    Schema,
    list_of,
    mapping,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAG = Schema("true or false", substituted=True)
_NUMBER = Schema("a whole number", substituted=True)
_TEXT_MAP = Schema("a mapping", item=TEXT, nullable=True)

# A field is required here only if no other rule reports that it is missing.
_REFERENCE = mapping({"name": TEXT})
_OBJECT = mapping(dict.fromkeys(("apiVersion", "kind", "name", "namespace"), TEXT))
_METADATA = mapping(dict.fromkeys(("annotations", "labels"), _TEXT_MAP))
_DEPENDENCIES = list_of(
    mapping({"name": REQUIRED_TEXT, **dict.fromkeys(("namespace", "readyExpr"), TEXT)})
)
_IMAGES = list_of(
    mapping({"name": REQUIRED_TEXT, **dict.fromkeys(("digest", "newName", "newTag"), TEXT)})
)
_TARGET = mapping(
    dict.fromkeys(
        (
            "annotationSelector",
            "group",
            "kind",
            "labelSelector",
            "name",
            "namespace",
            "version",
        ),
        TEXT,
    )
)
_PATCHES = list_of(mapping({"patch": REQUIRED_TEXT, "target": _TARGET}))
_KUBECONFIG = mapping(
    {"configMapRef": _REFERENCE, "secretRef": mapping({"key": TEXT, "name": REQUIRED_TEXT})}
)
_SIGNATURE: Mapping[str, Schema] = {"provider": REQUIRED_TEXT, "secretRef": _REFERENCE}

_GIT_REPOSITORY = mapping(
    {
        **dict.fromkeys(("ignore", "provider", "serviceAccountName", "timeout", "url"), TEXT),
        "interval": REQUIRED_TEXT,
        **dict.fromkeys(("recurseSubmodules", "suspend"), _FLAG),
        **dict.fromkeys(("proxySecretRef", "secretRef"), _REFERENCE),
        "include": list_of(mapping({"fromPath": TEXT, "repository": _REFERENCE, "toPath": TEXT})),
        "ref": mapping(dict.fromkeys(("branch", "commit", "name", "semver", "tag"), TEXT)),
        "sparseCheckout": TEXTS,
        "verify": mapping({"mode": TEXT, "secretRef": _REFERENCE}),
    }
)
_HELM_REPOSITORY = mapping(
    {
        **dict.fromkeys(("interval", "provider", "timeout", "type", "url"), TEXT),
        **dict.fromkeys(("insecure", "passCredentials", "suspend"), _FLAG),
        **dict.fromkeys(("certSecretRef", "secretRef"), _REFERENCE),
        "accessFrom": mapping({"namespaceSelectors": list_of(mapping({"matchLabels": _TEXT_MAP}))}),
    }
)
_OCI_REPOSITORY = mapping(
    {
        **dict.fromkeys(("ignore", "provider", "serviceAccountName", "timeout", "url"), TEXT),
        "interval": REQUIRED_TEXT,
        **dict.fromkeys(("insecure", "suspend"), _FLAG),
        **dict.fromkeys(("certSecretRef", "proxySecretRef", "secretRef"), _REFERENCE),
        "layerSelector": mapping(dict.fromkeys(("mediaType", "operation"), TEXT)),
        # The version of the chart has its own rules.
        "ref": mapping(
            {**dict.fromkeys(("digest", "semver", "semverFilter"), TEXT), "tag": ANYTHING}
        ),
        "verify": mapping(
            {
                **_SIGNATURE,
                "matchOIDCIdentity": list_of(
                    mapping(dict.fromkeys(("issuer", "subject"), REQUIRED_TEXT))
                ),
            }
        ),
    }
)
_KUSTOMIZATION = mapping(
    {
        "interval": REQUIRED_TEXT,
        "prune": Schema("true or false", required=True),
        **dict.fromkeys(
            (
                "deletionPolicy",
                "namePrefix",
                "nameSuffix",
                "path",
                "retryInterval",
                "serviceAccountName",
                "targetNamespace",
                "timeout",
            ),
            TEXT,
        ),
        **dict.fromkeys(("force", "ignoreMissingComponents", "suspend", "wait"), _FLAG),
        "commonMetadata": _METADATA,
        "components": TEXTS,
        "decryption": mapping(
            {"provider": TEXT, "secretRef": _REFERENCE, "serviceAccountName": TEXT}
        ),
        "dependsOn": _DEPENDENCIES,
        "healthCheckExprs": list_of(
            mapping(
                {
                    **dict.fromkeys(("apiVersion", "current", "kind"), REQUIRED_TEXT),
                    **dict.fromkeys(("failed", "inProgress"), TEXT),
                }
            )
        ),
        "healthChecks": list_of(_OBJECT),
        "images": _IMAGES,
        "kubeConfig": _KUBECONFIG,
        "patches": _PATCHES,
        "postBuild": mapping(
            {
                "substitute": _TEXT_MAP,
                "substituteFrom": list_of(
                    mapping({**dict.fromkeys(("kind", "name"), REQUIRED_TEXT), "optional": _FLAG})
                ),
            }
        ),
        "sourceRef": _OBJECT,
    }
)

_STRATEGY = mapping({"name": TEXT, "retryInterval": TEXT})
_REMEDIATION: Mapping[str, Schema] = {
    **dict.fromkeys(("ignoreTestFailures", "remediateLastFailure"), _FLAG),
    "retries": _NUMBER,
}
_ACTION: Mapping[str, Schema] = {
    **dict.fromkeys(("crds", "timeout"), TEXT),
    **dict.fromkeys(
        (
            "disableHooks",
            "disableOpenAPIValidation",
            "disableSchemaValidation",
            "disableTakeOwnership",
            "disableWait",
            "disableWaitForJobs",
        ),
        _FLAG,
    ),
    "strategy": _STRATEGY,
}
_HELM_RELEASE = mapping(
    {
        "interval": REQUIRED_TEXT,
        **dict.fromkeys(("releaseName", "serviceAccountName", "timeout"), TEXT),
        **dict.fromkeys(("persistentClient", "suspend"), _FLAG),
        "maxHistory": _NUMBER,
        "chart": mapping(
            {
                "metadata": _METADATA,
                "spec": mapping(
                    {
                        "ignoreMissingValuesFiles": _FLAG,
                        **dict.fromkeys(("interval", "reconcileStrategy"), TEXT),
                        "sourceRef": _OBJECT,
                        "valuesFiles": TEXTS,
                        "verify": mapping(_SIGNATURE),
                        # The name and the version of the chart have their own rules.
                        **dict.fromkeys(("chart", "version"), ANYTHING),
                    }
                ),
            }
        ),
        "chartRef": _OBJECT,
        "commonMetadata": _METADATA,
        "dependsOn": _DEPENDENCIES,
        "driftDetection": mapping(
            {
                "ignore": list_of(mapping({"paths": TEXTS, "target": _TARGET})),
                "mode": TEXT,
            }
        ),
        "install": mapping(
            {
                **_ACTION,
                **dict.fromkeys(("createNamespace", "replace", "skipCRDs"), _FLAG),
                "remediation": mapping(_REMEDIATION),
            }
        ),
        "kubeConfig": _KUBECONFIG,
        "postRenderers": list_of(
            mapping({"kustomize": mapping({"images": _IMAGES, "patches": _PATCHES})})
        ),
        "rollback": mapping(
            {
                **dict.fromkeys(
                    (
                        "cleanupOnFail",
                        "disableHooks",
                        "disableWait",
                        "disableWaitForJobs",
                        "force",
                        "recreate",
                    ),
                    _FLAG,
                ),
                "timeout": TEXT,
            }
        ),
        "test": mapping(
            {
                **dict.fromkeys(("enable", "ignoreFailures"), _FLAG),
                "filters": list_of(mapping({"exclude": _FLAG, "name": REQUIRED_TEXT})),
                "timeout": TEXT,
            }
        ),
        "uninstall": mapping(
            {
                **dict.fromkeys(("deletionPropagation", "timeout"), TEXT),
                **dict.fromkeys(("disableHooks", "disableWait", "keepHistory"), _FLAG),
            }
        ),
        "upgrade": mapping(
            {
                **_ACTION,
                **dict.fromkeys(("cleanupOnFail", "force", "preserveValues"), _FLAG),
                "remediation": mapping({**_REMEDIATION, "strategy": TEXT}),
            }
        ),
        "valuesFrom": list_of(
            mapping(
                {
                    **dict.fromkeys(("kind", "name"), REQUIRED_TEXT),
                    "optional": _FLAG,
                    **dict.fromkeys(("targetPath", "valuesKey"), TEXT),
                }
            )
        ),
        # The names and the values have their own rules.
        **dict.fromkeys(("storageNamespace", "targetNamespace", "values"), ANYTHING),
    }
)

_HEAD: Mapping[str, Schema] = {
    **dict.fromkeys(("apiVersion", "kind"), ANYTHING),
    "metadata": mapping(
        {
            **dict.fromkeys(("annotations", "labels"), _TEXT_MAP),
            **dict.fromkeys(("name", "namespace"), TEXT),
            **dict.fromkeys(
                (
                    "creationTimestamp",
                    "deletionGracePeriodSeconds",
                    "deletionTimestamp",
                    "finalizers",
                    "generateName",
                    "generation",
                    "managedFields",
                    "ownerReferences",
                    "resourceVersion",
                    "selfLink",
                    "uid",
                ),
                ANYTHING,
            ),
        }
    ),
}
_CONTENT: Mapping[str, Schema] = {"immutable": _FLAG, "data": _TEXT_MAP}

FLUX: Mapping[str, Schema] = {
    "GitRepository": _GIT_REPOSITORY,
    "HelmRelease": _HELM_RELEASE,
    "HelmRepository": _HELM_REPOSITORY,
    "Kustomization": _KUSTOMIZATION,
    "OCIRepository": _OCI_REPOSITORY,
}
"""The fields of `spec` by kind, as in the CRDs of the pinned Flux."""

OBJECTS: Mapping[str, Schema] = {
    **{kind: mapping({**_HEAD, "spec": spec, "status": ANYTHING}) for kind, spec in FLUX.items()},
    "ConfigMap": mapping({**_HEAD, **_CONTENT, "binaryData": _TEXT_MAP}),
    # sops adds its own field, and removes it before the object is applied.
    "Secret": mapping(
        {**_HEAD, **_CONTENT, "type": TEXT, "stringData": _TEXT_MAP, "sops": ANYTHING}
    ),
}
"""The fields of whole objects by kind."""

KUSTOMIZE = mapping(
    {
        **dict.fromkeys(("apiVersion", "kind", "namePrefix", "nameSuffix", "namespace"), TEXT),
        **dict.fromkeys(
            (
                "bases",
                "buildMetadata",
                "components",
                "configurations",
                "crds",
                "generators",
                "patchesStrategicMerge",
                "resources",
                "transformers",
                "validators",
            ),
            TEXTS,
        ),
        **dict.fromkeys(("commonAnnotations", "commonLabels", "openapi"), _TEXT_MAP),
        **dict.fromkeys(
            (
                "configMapGenerator",
                "generatorOptions",
                "helmChartInflationGenerator",
                "helmCharts",
                "helmGlobals",
                "imageTags",
                "images",
                "labels",
                "metadata",
                "patches",
                "patchesJson6902",
                "replacements",
                "replicas",
                "secretGenerator",
                "sortOptions",
                "vars",
            ),
            ANYTHING,
        ),
    }
)
"""The fields of a kustomization.yaml (kustomize's api/types, 0.20)."""
