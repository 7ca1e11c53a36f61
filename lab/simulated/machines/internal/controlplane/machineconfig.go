package controlplane

import (
	"fmt"
	"net/url"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// machine is what the control plane uses from a Talos machine configuration.
type machine struct {
	caCert, caKey    []byte
	serviceAccount   []byte
	names            []string
	admission        []admissionPlugin
	workloadsOnNodes bool
}

// admissionPlugin is one entry of cluster.apiServer.admissionControl.
type admissionPlugin struct {
	Name          string         `json:"name"`
	Configuration map[string]any `json:"configuration"`
}

// readMachine reads the machine configuration, or returns Talos's defaults if there is none.
func readMachine(opts Options) (machine, error) {
	if opts.MachineConfig == "" {
		return machine{admission: []admissionPlugin{defaultPodSecurity()}}, nil
	}

	provider, err := configloader.NewFromFile(opts.MachineConfig)
	if err != nil {
		return machine{}, fmt.Errorf("cannot read the machine configuration %s: %w", opts.MachineConfig, err)
	}

	cluster := provider.Cluster()
	if cluster == nil || cluster.IssuingCA() == nil || len(cluster.IssuingCA().Key) == 0 {
		return machine{}, fmt.Errorf("cannot use the machine configuration %s: cluster.ca with its key is needed, as on a control plane node",
			opts.MachineConfig)
	}

	read := machine{
		caCert:           cluster.IssuingCA().Crt,
		caKey:            cluster.IssuingCA().Key,
		names:            cluster.CertSANs(),
		workloadsOnNodes: cluster.ScheduleOnControlPlanes(),
	}

	if key := cluster.ServiceAccount(); key != nil {
		read.serviceAccount = key.Key
	}

	if endpoint := cluster.Endpoint(); endpoint != nil {
		read.names = append(read.names, endpoint.Hostname())
	}

	for _, plugin := range cluster.APIServer().AdmissionControl() {
		read.admission = append(read.admission, admissionPlugin{Name: plugin.Name(), Configuration: plugin.Configuration()})
	}

	return read, nil
}

// defaultPodSecurity is what `talosctl gen config` writes to cluster.apiServer.admissionControl.
func defaultPodSecurity() admissionPlugin {
	return admissionPlugin{Name: "PodSecurity", Configuration: map[string]any{
		"apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
		"kind":       "PodSecurityConfiguration",
		"defaults": map[string]any{
			"enforce": "baseline", "enforce-version": "latest",
			"audit": "restricted", "audit-version": "latest",
			"warn": "restricted", "warn-version": "latest",
		},
		"exemptions": map[string]any{
			"usernames": []string{}, "runtimeClasses": []string{}, "namespaces": []string{"kube-system"},
		},
	}}
}

// endpointHost is the host of the cluster's endpoint.
func endpointHost(endpoint string) string {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}

	return parsed.Hostname()
}
