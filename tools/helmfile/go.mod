module firstlight.dev/tools/helmfile

go 1.26.6

require github.com/helmfile/helmfile v1.8.0

// As in helmfile's own go.mod: kubedog imports an API package that newer k8s.io/api dropped,
// while its helm library needs the newer apimachinery.
replace (
	k8s.io/api => k8s.io/api v0.35.4
	k8s.io/apimachinery => k8s.io/apimachinery v0.36.0
	k8s.io/client-go => k8s.io/client-go v0.35.4
)
