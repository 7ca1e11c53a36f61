package controlplane

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

// stages define how KWOK advances nodes and pods. KWOK's default stages would make every node Ready
// at once.
//
//go:embed stages/*.yaml
var stages embed.FS

// auditPolicy records who did what to which object, but never a body, so Secrets stay out of the
// log.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`

// document is one YAML document.
type document map[string]any

// writeConfiguration writes kwokctl's configuration and the files that the API server reads.
func writeConfiguration(p paths, opts Options, at ports, from machine) error {
	files := map[string]func() ([]byte, error){
		"audit-policy.yaml":    func() ([]byte, error) { return []byte(auditPolicy), nil },
		"pod.log":              func() ([]byte, error) { return podLog(time.Now()), nil },
		"admission.yaml":       func() ([]byte, error) { return admissionConfiguration(from.admission) },
		"egress-selector.yaml": func() ([]byte, error) { return egressConfiguration(p, at) },
		"kwokctl.yaml":         func() ([]byte, error) { return kwokctlConfiguration(p, opts, at) },
	}

	for name, render := range files {
		content, err := render()
		if err != nil {
			return fmt.Errorf("cannot render %s: %w", name, err)
		}

		if err := writeFile(p.config(name), content, 0o600); err != nil {
			return err
		}
	}

	return nil
}

// podLog is the log of every pod, in the format of a container runtime.
func podLog(at time.Time) []byte {
	return fmt.Appendf(nil, "%s stdout F this pod is simulated: KWOK moves it on, and no program runs in it. "+
		"Flux controllers run as processes, their logs lie in the folder logs of the lab's state.\n", at.UTC().Format(time.RFC3339Nano))
}

// admissionConfiguration renders the admission plug-ins as Talos does.
func admissionConfiguration(plugins []admissionPlugin) ([]byte, error) {
	return yaml.Marshal(document{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins,
	})
}

// egressConfiguration sends the API server's connections to webhooks, services and kubelets through
// package egress. Otherwise it would dial service and pod addresses, which no simulated network
// carries.
func egressConfiguration(p paths, at ports) ([]byte, error) {
	return yaml.Marshal(document{
		"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration",
		"egressSelections": []document{{"name": "cluster", "connection": document{
			"proxyProtocol": "HTTPConnect",
			"transport": document{"tcp": document{
				"url": fmt.Sprintf("https://127.0.0.1:%d", at.Egress),
				"tlsConfig": document{
					"caBundle": p.pki("ca.crt"), "clientCert": p.pki("admin.crt"), "clientKey": p.pki("admin.key"),
				},
			}},
		}}},
	})
}

// kwokctlConfiguration renders the cluster for `kwokctl create cluster --config`, including the
// stages.
func kwokctlConfiguration(p paths, opts Options, at ports) ([]byte, error) {
	cluster, err := yaml.Marshal(document{
		"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokctlConfiguration",
		"options": kwokctlOptions(p, opts, at), "componentsPatches": componentPatches(p, opts),
	})
	if err != nil {
		return nil, err
	}

	logs, err := yaml.Marshal(document{
		"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", "metadata": document{"name": "simulated"},
		"spec": document{"logs": []document{{"logsFile": p.config("pod.log")}}},
	})
	if err != nil {
		return nil, err
	}

	documents := [][]byte{cluster, logs}

	names, err := fs.Glob(stages, "stages/*.yaml")
	if err != nil {
		return nil, err
	}

	for _, name := range names {
		stage, err := stages.ReadFile(name)
		if err != nil {
			return nil, err
		}

		documents = append(documents, stage)
	}

	return bytes.Join(documents, []byte("\n---\n")), nil
}

// kwokctlOptions sets every port, and the path of every program so that kwokctl downloads none.
func kwokctlOptions(p paths, opts Options, at ports) document {
	tool := func(name string) string { return filepath.Join(opts.ToolsDir, name) }

	return document{
		"runtime": "binary", "kubeVersion": opts.KubernetesVersion, "bindAddress": "127.0.0.1", "securePort": true,
		"kubeAuthorization": true, "kubeAdmission": true, "kubeAuditPolicy": p.config("audit-policy.yaml"),
		"cacheDir":   filepath.Join(p.work(), "cache"),
		"etcdBinary": tool("etcd"), "kubectlBinary": tool("kubectl"), "kwokControllerBinary": tool("kwok"),
		"kubeApiserverBinary":         tool("kube-apiserver"),
		"kubeControllerManagerBinary": tool("kube-controller-manager"),
		"kubeSchedulerBinary":         tool("kube-scheduler"),
		"kubeApiserverPort":           at.APIServer, "etcdPort": at.Etcd, "etcdPeerPort": at.EtcdPeer,
		"kubeControllerManagerPort": at.ControllerManager, "kubeSchedulerPort": at.Scheduler, "kwokControllerPort": at.Kwok,
		// For large clusters, kwokctl would multiply the following by 5.
		"heartbeatFactor": 1, "nodeLeaseDurationSeconds": opts.pace.leaseS,
		"kubeControllerManagerNodeMonitorPeriodMilliseconds":      opts.pace.periodMs,
		"kubeControllerManagerNodeMonitorGracePeriodMilliseconds": opts.pace.graceMs,
	}
}
