# The secrets that must be in the cluster before Flux can read Git. `task bootstrap:apps:secrets` pipes this through
# `op inject` into `kubectl apply`; the result is never written to disk. Flux does not take them over: a new deploy key or
# AGE key is put into 1Password, and the task run again.
#
# `op inject` pastes a field's text as it is, and a text of several lines would break the YAML. The three fields of the deploy
# key therefore hold base64, in one line (`base64 --wrap=0 < id_ed25519`), which is what `data` wants anyway.
---
apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
---
# Opens the *.sops.yaml files of the repository. Flux takes every key of this Secret that ends in .agekey.
apiVersion: v1
kind: Secret
metadata:
  name: sops-age
  namespace: flux-system
type: Opaque
stringData:
  age.agekey: "op://k8s-ops/sops-age/private-key"
---
# The deploy key, read-only on the Git host. known_hosts must hold every key type that the host offers, or the first rotation
# ends in "knownhosts: key mismatch".
apiVersion: v1
kind: Secret
metadata:
  name: flux-system
  namespace: flux-system
type: Opaque
data:
  identity: "op://k8s-ops/apps-deploy-key/identity"
  identity.pub: "op://k8s-ops/apps-deploy-key/identity.pub"
  known_hosts: "op://k8s-ops/apps-deploy-key/known_hosts"
