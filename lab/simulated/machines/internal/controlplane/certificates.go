package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity of certificates issued here. Talos's admin kubeconfig is valid for one year.
const validity = 365 * 24 * time.Hour

// pair is a certificate and its key, both as PEM.
type pair struct{ cert, key []byte }

// authority is the cluster's certificate authority.
type authority struct {
	pair
	parsed *x509.Certificate
	signer crypto.Signer
}

// newAuthority creates a certificate authority like Talos's authority for Kubernetes.
func newAuthority() (pair, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"kubernetes"}},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(10 * validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}

	return sign(template, nil)
}

// loadAuthority reads a certificate authority from PEM.
func loadAuthority(from pair) (authority, error) {
	loaded, err := tls.X509KeyPair(from.cert, from.key)
	if err != nil {
		return authority{}, fmt.Errorf("cannot use the cluster's certificate authority: %w", err)
	}

	cert, err := x509.ParseCertificate(loaded.Certificate[0])
	if err != nil {
		return authority{}, fmt.Errorf("cannot use the cluster's certificate authority: %w", err)
	}

	signer, ok := loaded.PrivateKey.(crypto.Signer)
	if !ok {
		return authority{}, fmt.Errorf("cannot use the cluster's certificate authority: its key cannot sign")
	}

	return authority{pair: from, parsed: cert, signer: signer}, nil
}

// issueClient makes a client certificate for one user.
func (a authority) issueClient(user string, groups ...string) (pair, error) {
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		NotBefore:   time.Now().Add(-time.Minute),
		NotAfter:    time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, &a)
}

// issueServer makes the API server's certificate for the given names and addresses.
func (a authority) issueServer(names []string) (pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver", Organization: []string{"kube-master"}},
		NotBefore:   time.Now().Add(-time.Minute),
		NotAfter:    time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}

	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}

	return sign(template, &a)
}

// sign creates a key and its certificate. Without a parent, the certificate is self-signed.
func sign(template *x509.Certificate, parent *authority) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("cannot create a key: %w", err)
	}

	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return pair{}, fmt.Errorf("cannot create a serial number: %w", err)
	}

	issuer, signer := template, crypto.Signer(key)
	if parent != nil {
		issuer, signer = parent.parsed, parent.signer
	}

	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return pair{}, fmt.Errorf("cannot sign the certificate of %q: %w", template.Subject.CommonName, err)
	}

	encodedKey, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("cannot encode a key: %w", err)
	}

	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encodedKey}),
	}, nil
}
