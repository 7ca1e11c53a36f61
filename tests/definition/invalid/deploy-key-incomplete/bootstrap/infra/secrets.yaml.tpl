apiVersion: v1
kind: Secret
metadata:
  name: sops-age
  namespace: flux-system
stringData:
  age.agekey: "op://k8s-ops/sops-age/private-key"
---
apiVersion: v1
kind: Secret
metadata:
  name: flux-system
  namespace: flux-system
data:
  identity: "op://k8s-ops/infra-deploy-key/identity"
