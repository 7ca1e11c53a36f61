package talosapi

import (
	"crypto/tls"
	stdx509 "crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/role"

	"firstlight.dev/lab/machines/internal/machine"
)

// certificateLife is how long the certificates of a machine are valid. They are created at each
// start.
const certificateLife = 30 * 24 * time.Hour

// Authority signs the machines' certificates and defines which clients they trust.
type Authority struct {
	ca *x509.CertificateAuthority
	// accepted are the authorities that the machines trust, in PEM.
	accepted []byte
}

// ClusterAuthority is the Talos authority from the control plane machines' configurations.
//
// Workers have only its certificate in theirs and get their own signed by trustd on a control plane
// machine. Here it is signed directly.
func ClusterAuthority(fleet *machine.Fleet) (*Authority, error) {
	for _, node := range fleet.Nodes() {
		security := node.InstalledConfig().Machine().Security()

		issuing := security.IssuingCA()
		if issuing == nil || len(issuing.Key) == 0 {
			continue
		}

		ca, err := x509.NewCertificateAuthorityFromCertificateAndKey(issuing)
		if err != nil {
			return nil, fmt.Errorf("cannot use the Talos certificate authority in the configuration of %s: %w", node.Hostname, err)
		}

		accepted := append([]byte(nil), issuing.Crt...)
		for _, other := range security.AcceptedCAs() {
			accepted = append(append(accepted, '\n'), other.Crt...)
		}

		return &Authority{ca: ca, accepted: accepted}, nil
	}

	return nil, fmt.Errorf("cannot find the Talos certificate authority: no control plane configuration holds its key")
}

// StrangeAuthority is one that no talosconfig knows.
func StrangeAuthority() (*Authority, error) {
	ca, err := x509.NewSelfSignedCertificateAuthority(x509.Organization("talos"))
	if err != nil {
		return nil, fmt.Errorf("cannot create an unknown certificate authority: %w", err)
	}

	return &Authority{ca: ca, accepted: ca.CrtPEM}, nil
}

// serverTLS is the TLS configuration of an apid: it requires a client certificate of an accepted
// authority, with the usage that Talos requires.
func (a *Authority) serverTLS(node *machine.Node, addresses []string) (*tls.Config, error) {
	ips := make([]net.IP, 0, len(addresses))
	for _, address := range addresses {
		ips = append(ips, net.ParseIP(address))
	}

	// The machine's own clock is used to sign, and to check clients.
	certificate, err := a.keyPair(time.Now().Add(node.Skew()),
		x509.IPAddresses(ips), x509.DNSNames([]string{node.Hostname}), x509.CommonName(node.Hostname),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the API certificate of %s: %w", node.Hostname, err)
	}

	pool, err := a.pool()
	if err != nil {
		return nil, err
	}

	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, VerifyPeerCertificate: verifyUsage,
		Time: func() time.Time { return time.Now().Add(node.Skew()) },
	}, nil
}

// clientTLS is the TLS configuration of one apid calling another. It may act for its own caller,
// and checks the other by its own clock.
func (a *Authority) clientTLS(node *machine.Node) (*tls.Config, error) {
	certificate, err := a.keyPair(time.Now().Add(node.Skew()),
		x509.CommonName(node.Hostname), x509.Organization(string(role.Impersonator)),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the API client certificate of %s: %w", node.Hostname, err)
	}

	pool, err := a.pool()
	if err != nil {
		return nil, err
	}

	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}, RootCAs: pool,
		Time: func() time.Time { return time.Now().Add(node.Skew()) },
	}, nil
}

func (a *Authority) keyPair(now time.Time, options ...x509.Option) (*tls.Certificate, error) {
	// Starting a little in the past allows for clients whose clock is slightly behind.
	options = append(options,
		x509.NotBefore(now.Add(-time.Minute)), x509.NotAfter(now.Add(certificateLife)), x509.KeyUsage(stdx509.KeyUsageDigitalSignature))

	pair, err := x509.NewKeyPair(a.ca, options...)
	if err != nil {
		return nil, err
	}

	return pair.Certificate, nil
}

func (a *Authority) pool() (*stdx509.CertPool, error) {
	pool := stdx509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.accepted) {
		return nil, fmt.Errorf("cannot use the accepted certificate authorities: they contain no certificate")
	}

	return pool, nil
}

// verifyUsage rejects a client certificate that is not for client authentication, as apid does.
func verifyUsage(_ [][]byte, chains [][]*stdx509.Certificate) error {
	if len(chains) == 0 {
		return fmt.Errorf("no verified chains")
	}

	for _, certificate := range chains[0] {
		if certificate.IsCA {
			continue
		}

		if len(certificate.ExtKeyUsage) != 1 || certificate.ExtKeyUsage[0] != stdx509.ExtKeyUsageClientAuth {
			return fmt.Errorf("certificate %q is missing the client auth extended key usage", certificate.Subject)
		}
	}

	return nil
}

// maintenanceTLS is the TLS configuration of the maintenance service: self-signed, without client
// certificates.
func maintenanceTLS(node *machine.Node) (*tls.Config, error) {
	// Without a name, unlike the authority of a cluster: a client that trusts another one then
	// reports an unknown authority.
	ca, err := x509.NewSelfSignedCertificateAuthority()
	if err != nil {
		return nil, fmt.Errorf("cannot create the maintenance authority of %s: %w", node.Hostname, err)
	}

	own := &Authority{ca: ca, accepted: ca.CrtPEM}

	certificate, err := own.keyPair(time.Now(),
		x509.IPAddresses([]net.IP{net.ParseIP(node.Address)}), x509.DNSNames([]string{node.Hostname}), x509.CommonName("maintenance-service.talos.dev"),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the maintenance certificate of %s: %w", node.Hostname, err)
	}

	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}, nil
}
