package controlplane

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// labUser is the lab itself: kubelets, KWOK, and the part of the simulator that stands for the
// machines.
const labUser = "firstlight:lab"

// masters is the group that may do everything.
const masters = "system:masters"

// trust is the cluster's certificate authority and the lab's own certificate.
type trust struct {
	authority authority
	lab       pair
	server    pair
}

// seedPKI fills kwokctl's pki folder before kwokctl can. So the cluster has the machine
// configuration's authority, and the API server a certificate for the addresses of the lab only
// (kwokctl would add every address of this computer).
func seedPKI(p paths, opts Options, from machine) (*trust, error) {
	ca, err := keep(p, "ca", func() (pair, error) {
		if from.caCert != nil {
			return pair{cert: from.caCert, key: from.caKey}, nil
		}

		return newAuthority()
	})
	if err != nil {
		return nil, err
	}

	issuer, err := loadAuthority(ca)
	if err != nil {
		return nil, err
	}

	// kwokctl calls its only client certificate "admin". Here its user is the lab.
	lab, err := keep(p, "admin", func() (pair, error) { return issuer.issueClient(labUser, masters) })
	if err != nil {
		return nil, err
	}

	names, err := serverNames(opts, from)
	if err != nil {
		return nil, err
	}

	server, err := keep(p, "apiserver", func() (pair, error) { return issuer.issueServer(names) })
	if err != nil {
		return nil, err
	}

	return &trust{authority: issuer, lab: lab, server: server}, keepServiceAccountKey(p, from)
}

// keep reads an existing pair, or creates and writes it.
func keep(p paths, name string, make func() (pair, error)) (pair, error) {
	cert, certErr := os.ReadFile(p.pki(name + ".crt"))
	key, keyErr := os.ReadFile(p.pki(name + ".key"))

	if certErr == nil && keyErr == nil {
		return pair{cert: cert, key: key}, nil
	}

	if err := errors.Join(certErr, keyErr); !errors.Is(err, fs.ErrNotExist) {
		return pair{}, fmt.Errorf("cannot read the certificate %s: %w", name, err)
	}

	made, err := make()
	if err != nil {
		return pair{}, err
	}

	if err := writeFile(p.pki(name+".key"), made.key, 0o600); err != nil {
		return pair{}, err
	}

	return made, writeFile(p.pki(name+".crt"), made.cert, 0o644)
}

// keepServiceAccountKey writes the key that signs service account tokens.
func keepServiceAccountKey(p paths, from machine) error {
	if _, err := os.Stat(p.pki("sa.key")); err == nil {
		return nil
	}

	key := from.serviceAccount
	if key == nil {
		made, err := newAuthority()
		if err != nil {
			return err
		}

		key = made.key
	}

	return writeFile(p.pki("sa.key"), key, 0o600)
}

// serverNames are the names and addresses for which the API server's certificate is valid.
func serverNames(opts Options, from machine) ([]string, error) {
	service, err := netip.ParsePrefix(opts.ServiceCIDR)
	if err != nil {
		return nil, fmt.Errorf("cannot use service_cidr: %w", err)
	}

	names := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
		"127.0.0.1", service.Masked().Addr().Next().String(), opts.VIP, endpointHost(opts.Endpoint),
	}
	names = append(names, opts.NodeAddresses...)
	names = append(names, from.names...)

	seen := map[string]bool{"": true}
	unique := names[:0]

	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			unique = append(unique, name)
		}
	}

	return unique, nil
}

// restConfig is how the lab's own user reaches the API server.
func (t *trust) restConfig(address string) *rest.Config {
	return &rest.Config{
		Host: "https://" + address,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: t.authority.pair.cert, CertData: t.lab.cert, KeyData: t.lab.key,
		},
		QPS:   200,
		Burst: 400,
	}
}

func (t *trust) client(address string) (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(t.restConfig(address))
	if err != nil {
		return nil, fmt.Errorf("cannot create a client for the API server: %w", err)
	}

	return client, nil
}

// serverTLS is the TLS configuration with which the lab alone serves the API server.
func (t *trust) serverTLS() (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(t.server.cert, t.server.key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the API server's certificate: %w", err)
	}

	clients := x509.NewCertPool()
	clients.AddCert(t.authority.parsed)

	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	}, nil
}
