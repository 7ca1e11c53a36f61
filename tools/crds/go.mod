module firstlight.dev/tools/crds

go 1.26.6

require (
	github.com/cert-manager/cert-manager v1.19.2
	github.com/cilium/cilium v1.18.5
	sigs.k8s.io/gateway-api v1.3.0
)
