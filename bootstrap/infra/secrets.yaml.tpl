# The Secrets that must exist in the cluster before Flux can read Git. `./task bootstrap:secrets
# CLUSTER=infra` pipes this file through `op inject` into `kubectl apply`; the result is never
# written to disk. Flux does not take them over: to replace the deploy key or the AGE key, store the
# new one in 1Password and run the task again.
#
# `op inject` inserts the text of a field unchanged, and a multi-line text would break the YAML. The
# three fields of the deploy key therefore hold base64 on one line (`base64 --wrap=0 < id_ed25519`),
# which `data` requires anyway.
---
apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
---
# Decrypts the *.sops.yaml files of the repository. Flux uses every key of this Secret that ends in
# .agekey.
apiVersion: v1
kind: Secret
metadata:
  name: sops-age
  namespace: flux-system
type: Opaque
stringData:
  age.agekey: "op://k8s-ops/sops-age/private-key"
---
# The deploy key, read-only on the Git host. known_hosts must contain every key type that the host
# offers; otherwise the first key rotation fails with "knownhosts: key mismatch".
apiVersion: v1
kind: Secret
metadata:
  name: flux-system
  namespace: flux-system
type: Opaque
data:
  identity: "op://k8s-ops/infra-deploy-key/identity"
  identity.pub: "op://k8s-ops/infra-deploy-key/identity.pub"
  known_hosts: "op://k8s-ops/infra-deploy-key/known_hosts"
