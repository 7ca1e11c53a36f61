// stand-in stands in for a program that cannot be built from package registries. It answers health checks and names the
// program in each answer; it does nothing else.
//
// Usage: stand-in [--name NAME] [--http PORT]... [--https PORT]... [--once WORD]... -- THE PROGRAM'S OWN ARGUMENTS
//
// Of the program's own arguments it understands those with a port, as in `--metrics-addr=:9090`, and the ones with which
// the program exits after its work.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

var address = regexp.MustCompile(`^--[a-z-]*addr(?:ess)?=[0-9.]*:([0-9]+)$`)

func main() {
	var plain, secure, once []string
	name := flag.String("name", "a program", "the program that this stands in for")
	flag.Func("http", "a port for plain HTTP; repeatable", func(port string) error { plain = append(plain, port); return nil })
	flag.Func("https", "a port for HTTPS with a self-signed certificate; repeatable", func(port string) error { secure = append(secure, port); return nil })
	flag.Func("once", "an argument with which the program exits after its work; repeatable", func(word string) error { once = append(once, word); return nil })
	flag.Parse()

	for _, argument := range flag.Args() {
		if slices.Contains(once, argument) {
			log.Printf("standing in for %s %s: nothing to do", *name, argument)
			return
		}
	}
	plain = append(plain, ports(flag.Args())...)

	failed := make(chan error)
	for _, port := range plain {
		go func() { failed <- server(*name, port).ListenAndServe() }()
	}
	for _, port := range secure {
		certificate, err := selfSigned(*name)
		if err != nil {
			log.Fatalf("cannot create a certificate: %v", err)
		}
		https := server(*name, port)
		https.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		go func() { failed <- https.ListenAndServeTLS("", "") }()
	}
	log.Printf("standing in for %s: http on %v, https on %v", *name, plain, secure)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-ended:
	}
}

// ports returns the ports in a program's arguments.
func ports(arguments []string) []string {
	found := []string{}
	for _, argument := range arguments {
		if match := address.FindStringSubmatch(argument); match != nil {
			found = append(found, match[1])
		}
	}
	return found
}

func server(name, port string) *http.Server {
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "ok: stand-in for %s\n", name) }
	return &http.Server{Addr: net.JoinHostPort("", port), Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second}
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		DNSNames:     []string{name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, nil
}
