package controlplane

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// fluxUsers are the controllers that run as processes with a certificate of their own.
var fluxUsers = []string{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"}

// AdminKubeconfig issues an administrator's kubeconfig, as `talosctl kubeconfig` does.
func (c *ControlPlane) AdminKubeconfig(clusterName, endpoint string) ([]byte, error) {
	authority, err := c.authority()
	if err != nil {
		return nil, err
	}

	admin, err := authority.issueClient("admin", masters)
	if err != nil {
		return nil, err
	}

	return kubeconfig(clusterName, "admin@"+clusterName, endpoint, authority.pair.cert, admin)
}

// authority is the authority in use or, before the first Start, the one that Start will use.
func (c *ControlPlane) authority() (authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.trust != nil {
		return c.trust.authority, nil
	}

	if c.opts.MachineConfig == "" {
		return authority{}, errors.New("cannot issue a kubeconfig: the control plane was never started, and no machine configuration has its authority")
	}

	machine, err := readMachine(c.opts)
	if err != nil {
		return authority{}, err
	}

	return loadAuthority(pair{cert: machine.caCert, key: machine.caKey})
}

// writeKubeconfigs writes a kubeconfig for each of the lab's own users. Existing ones are kept.
func (c *ControlPlane) writeKubeconfigs() error {
	users := map[string][]string{
		// Masters need not wait for the bootstrap of the roles, which is a race at every first
		// start.
		"kube-controller-manager": {"system:kube-controller-manager", masters},
		"kube-scheduler":          {"system:kube-scheduler", masters},
		"lab":                     {labUser, masters},
	}
	// The real controllers use service accounts that their chart binds to cluster-admin.
	for _, name := range fluxUsers {
		users[name] = []string{"firstlight:" + name, masters}
	}

	for name, subject := range users {
		if err := c.writeKubeconfig(name, subject[0], subject[1:]); err != nil {
			return err
		}
	}

	return nil
}

func (c *ControlPlane) writeKubeconfig(name, user string, groups []string) error {
	path := KubeconfigPath(c.opts.StateDir, name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}

	issued, err := c.trust.authority.issueClient(user, groups...)
	if err != nil {
		return err
	}

	content, err := kubeconfig(c.opts.Cluster, name, "https://"+c.Address(), c.trust.authority.pair.cert, issued)
	if err != nil {
		return err
	}

	return writeFile(path, content, 0o600)
}

// kubeconfig renders one context, named as Talos names it.
func kubeconfig(cluster, context, server string, ca []byte, client pair) ([]byte, error) {
	config := api.NewConfig()
	config.Clusters[cluster] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[context] = &api.AuthInfo{ClientCertificateData: client.cert, ClientKeyData: client.key}
	config.Contexts[context] = &api.Context{Cluster: cluster, AuthInfo: context, Namespace: "default"}
	config.CurrentContext = context

	content, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("cannot write the kubeconfig of %s: %w", context, err)
	}

	return content, nil
}
