// Package egress is the API server's only way to kubelets, webhooks and aggregated APIs.
//
// The API server asks this proxy (HTTP CONNECT) instead of dialling. Only kubelets can be reached,
// and that is KWOK. Addresses of services and pods exist in no network here, so they are refused
// with a reason, and no packet ever leaves loopback.
package egress

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
)

// Options determine where a connection may go.
type Options struct {
	Client kubernetes.Interface
	Log    *slog.Logger
	// KubeletPort is KWOK's port on 127.0.0.1, which stands for every node's kubelet.
	KubeletPort int
}

// Serve serves the API server until the context ends.
func Serve(ctx context.Context, listener net.Listener, opts Options) {
	server := &http.Server{Handler: &proxy{Options: opts}, ReadHeaderTimeout: 10 * time.Second}

	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()

	if err := server.Serve(listener); err != nil && ctx.Err() == nil {
		opts.Log.Error("the way from the API server to services is closed", "error", err)
	}
}

type proxy struct{ Options }

// ServeHTTP connects the API server with one target.
func (p *proxy) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	hijacker, ok := response.(http.Hijacker)
	if !ok || request.Method != http.MethodConnect {
		http.Error(response, "only CONNECT is served here", http.StatusMethodNotAllowed)

		return
	}

	upstream, err := p.dial(request.Context(), request.Host)
	if err != nil {
		p.Log.Info("refused a connection of the API server", "to", request.Host, "reason", err)
	} else {
		defer upstream.Close()
	}

	downstream, buffered, hijackErr := hijacker.Hijack()
	if hijackErr != nil {
		return
	}
	defer downstream.Close()

	if err != nil {
		// The API server shows only the status line, so the reason goes there.
		_, _ = fmt.Fprintf(downstream, "HTTP/1.1 503 %s\r\nContent-Length: 0\r\n\r\n", strings.ReplaceAll(err.Error(), "\n", " "))

		return
	}

	if _, err := io.WriteString(downstream, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}

	var copying sync.WaitGroup

	copying.Go(func() { pipe(upstream, buffered) })
	copying.Go(func() { pipe(downstream, upstream) })
	copying.Wait()
}

func (p *proxy) dial(ctx context.Context, wanted string) (net.Conn, error) {
	target, err := p.target(ctx, wanted)
	if err != nil {
		return nil, err
	}

	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", target)
}

// pipe copies one direction and then closes it, so that the other side notices.
func pipe(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from) // the end of either side ends the connection, whatever the reason
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// target returns the address that a connection really goes to.
func (p *proxy) target(ctx context.Context, wanted string) (string, error) {
	host, port, err := net.SplitHostPort(wanted)
	if err != nil {
		return "", fmt.Errorf("cannot parse the address %q: %w", wanted, err)
	}

	if address := net.ParseIP(host); address != nil && address.IsLoopback() {
		if port != strconv.Itoa(p.KubeletPort) {
			return "", fmt.Errorf("no kubelet listens on %s", wanted)
		}

		return net.JoinHostPort("127.0.0.1", port), nil
	}

	return "", refuseService(ctx, p.Client, host)
}
