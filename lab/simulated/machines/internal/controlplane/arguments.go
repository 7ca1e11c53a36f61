package controlplane

import "firstlight.dev/lab/machines/internal/controlplane/kubelet"

// argument is one flag of a program. It replaces a flag that kwokctl sets, or is added.
type argument struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Override bool   `json:"override,omitempty"`
}

func added(key, value string) argument    { return argument{Key: key, Value: value} }
func replaced(key, value string) argument { return argument{Key: key, Value: value, Override: true} }

// componentPatches turn kwokctl's programs into those of a Talos control plane.
func componentPatches(p paths, opts Options) []document {
	arguments := map[string][]argument{
		"kube-apiserver":          apiServerArguments(p, opts),
		"kube-controller-manager": controllerManagerArguments(p, opts),
		"kube-scheduler": {
			replaced("kubeconfig", KubeconfigPath(opts.StateDir, "kube-scheduler")),
			added("leader-elect", "false"), added("profiling", "false"),
		},
		"kwok-controller": {
			replaced("manage-all-nodes", "false"),
			added("manage-nodes-with-label-selector", kubelet.PoweredLabel+"="+kubelet.Powered),
		},
	}

	var patches []document

	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller"} {
		patches = append(patches, document{"name": name, "extraArgs": arguments[name]})
	}

	return patches
}

func apiServerArguments(p paths, opts Options) []argument {
	arguments := []argument{
		replaced("tls-cert-file", p.pki("apiserver.crt")),
		replaced("tls-private-key-file", p.pki("apiserver.key")),
		replaced("service-account-key-file", p.pki("sa.key")),
		replaced("service-account-signing-key-file", p.pki("sa.key")),
		replaced("audit-log-path", p.audit()),
		// One file of up to 4 GB without rotation, because it shows who made each change.
		added("audit-log-maxsize", "4096"),
		added("admission-control-config-file", p.config("admission.yaml")),
		added("egress-selector-config-file", p.config("egress-selector.yaml")),
		added("enable-admission-plugins", "NodeRestriction"),
		added("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"),
		added("kubelet-client-certificate", p.pki("admin.crt")),
		added("kubelet-client-key", p.pki("admin.key")),
		added("service-cluster-ip-range", opts.ServiceCIDR),
		added("anonymous-auth", "false"),
		added("profiling", "false"),
		// Endpoints must not contain loopback addresses, so the service `kubernetes` has none here.
		added("endpoint-reconciler-type", "none"),
		added("advertise-address", "127.0.0.1"),
	}

	if opts.Endpoint != "" {
		arguments = append(arguments, replaced("service-account-issuer", opts.Endpoint), added("api-audiences", opts.Endpoint))
	}

	return arguments
}

func controllerManagerArguments(p paths, opts Options) []argument {
	return []argument{
		replaced("kubeconfig", KubeconfigPath(opts.StateDir, "kube-controller-manager")),
		replaced("service-account-private-key-file", p.pki("sa.key")),
		added("allocate-node-cidrs", "true"),
		added("cluster-cidr", opts.PodCIDR),
		added("service-cluster-ip-range", opts.ServiceCIDR),
		added("cluster-signing-cert-file", p.pki("ca.crt")),
		added("cluster-signing-key-file", p.pki("ca.key")),
		added("controllers", "*,tokencleaner"),
		added("leader-elect", "false"),
		added("profiling", "false"),
	}
}
