package fluxrun

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// gitServer serves one repository over SSH to one deploy key.
type gitServer struct {
	*testing.T
	repository string
	address    string
	config     *ssh.ServerConfig

	identity, identityPub, knownHosts []byte
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()

	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}

	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}

	return signer, pem.EncodeToMemory(block)
}

func startGitServer(t *testing.T, files map[string]string) *gitServer {
	t.Helper()

	host, _ := newKey(t)
	deploy, identity := newKey(t)

	listener, err := net.Listen("tcp", "127.25.97.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = listener.Close() })

	server := &gitServer{
		T: t, repository: filepath.Join(t.TempDir(), "k8s-ops.git"), address: listener.Addr().String(),
		identity: identity, identityPub: ssh.MarshalAuthorizedKey(deploy.PublicKey()),
	}
	server.knownHosts = fmt.Appendf(nil, "[127.25.97.1]:%d %s", listener.Addr().(*net.TCPAddr).Port, ssh.MarshalAuthorizedKey(host.PublicKey()))
	server.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(deploy.PublicKey().Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}

		return &ssh.Permissions{}, nil
	}}
	server.config.AddHostKey(host)
	server.commit(files)

	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}

			go server.serve(connection)
		}
	}()

	return server
}

// commit creates the repository with one commit on main.
func (g *gitServer) commit(files map[string]string) {
	g.Helper()

	work := g.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o600); err != nil {
			g.Fatal(err)
		}
	}

	for _, arguments := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", "."},
		{"-c", "user.name=lab", "-c", "user.email=lab@example.invalid", "commit", "--quiet", "--message=first"},
		{"clone", "--quiet", "--bare", work, g.repository},
	} {
		command := exec.Command("git", arguments...)
		command.Dir = work

		if output, err := command.CombinedOutput(); err != nil {
			g.Fatalf("git %v: %v\n%s", arguments, err, output)
		}
	}
}

func (g *gitServer) serve(connection net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(connection, g.config)
	if err != nil {
		return
	}

	go ssh.DiscardRequests(requests)

	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}

		go g.session(channel, requests)
	}
}

func (g *gitServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		if request.WantReply {
			_ = request.Reply(request.Type == "exec" || request.Type == "env", nil)
		}

		if request.Type != "exec" {
			continue
		}

		command := exec.Command("git", "upload-pack", g.repository)
		command.Stdin, command.Stdout, command.Stderr = channel, channel, channel.Stderr()
		_ = command.Run()
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
		_ = channel.Close()
	}
}
