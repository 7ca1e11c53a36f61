package controlplane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"firstlight.dev/lab/machines/internal/labproc"
)

const (
	createTimeout = 60 * time.Second
	stopTimeout   = 15 * time.Second
)

// startPrograms creates the cluster, or starts those of its programs that do not run.
func (c *ControlPlane) startPrograms(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()

	if err := c.processes().forgetDead(); err != nil {
		return err
	}

	wanted, err := fingerprint(c.paths.config("kwokctl.yaml"))
	if err != nil {
		return err
	}

	if made, err := os.ReadFile(c.paths.created()); err == nil {
		if string(made) == wanted {
			return c.kwokctl(ctx, "start", "cluster")
		}

		if err := c.forgetConfiguration(); err != nil {
			return err
		}
	}

	if err := c.kwokctl(ctx, "create", "cluster",
		"--config", c.paths.config("kwokctl.yaml"), "--kubeconfig", filepath.Join(c.paths.work(), "kubeconfig.yaml")); err != nil {
		return err
	}

	return writeFile(c.paths.created(), []byte(wanted), 0o600)
}

// forgetConfiguration makes kwokctl treat the cluster as a new one but keeps the certificates and
// the data of etcd. A newer simulator has other stages or arguments, and kwokctl would use those
// that it once saved.
func (c *ControlPlane) forgetConfiguration() error {
	c.log.Info("the control plane gets a new configuration", "cluster", c.opts.Cluster)

	if err := c.processes().endAll(5 * time.Second); err != nil {
		return err
	}

	if err := os.Remove(filepath.Join(c.paths.clusterDir(), "kwok.yaml")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot reconfigure the control plane of %s: %w", c.opts.Cluster, err)
	}

	return nil
}

// fingerprint identifies a configuration.
func fingerprint(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read kwokctl's configuration: %w", err)
	}

	sum := sha256.Sum256(content)

	return hex.EncodeToString(sum[:]) + "\n", nil
}

// stopPrograms stops the cluster with kwokctl, and ends what is left.
func (c *ControlPlane) stopPrograms(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()

	if err := c.processes().forgetDead(); err != nil {
		return err
	}

	var failed error
	if _, err := os.Stat(c.paths.created()); err == nil {
		failed = c.kwokctl(ctx, "stop", "cluster")
	}

	if err := c.processes().endAll(5 * time.Second); err != nil {
		return err
	}

	if failed != nil {
		// Nothing runs any more, which is the goal.
		c.log.Warn("kwokctl could not stop the cluster; its programs were ended one by one", "error", failed)
	}

	return nil
}

// kwokctl runs one kwokctl command on the cluster with its own HOME, so the user's is never
// touched.
func (c *ControlPlane) kwokctl(ctx context.Context, arguments ...string) error {
	program := filepath.Join(c.opts.ToolsDir, "kwokctl")

	command := exec.CommandContext(ctx, program, append([]string{"--name", c.opts.Cluster}, arguments...)...)
	command.Env = []string{
		"PATH=" + c.opts.ToolsDir + ":/usr/bin:/bin",
		"HOME=" + c.paths.work(),
		"KWOK_WORKDIR=" + c.paths.work(),
		labproc.Mark(c.opts.StateDir),
	}
	command.Dir = c.paths.work()
	command.WaitDelay = time.Second

	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output

	if err := command.Run(); err != nil {
		return fmt.Errorf("cannot %s %s: kwokctl: %w\n%s%s", strings.Join(arguments[:2], " "), c.opts.Cluster, err,
			lastLines(output.String(), 10), c.lastWords())
	}

	c.log.Debug("kwokctl", "arguments", arguments, "output", output.String())

	return nil
}

// lastWords returns the ends of the logs of programs that do not run.
func (c *ControlPlane) lastWords() string {
	var words strings.Builder

	for _, program := range c.processes().missing() {
		log, err := os.ReadFile(filepath.Join(c.paths.clusterDir(), "logs", program+".log"))
		if err == nil {
			fmt.Fprintf(&words, "\n%s does not run; its log ends:\n%s", program, lastLines(string(log), 10))
		}
	}

	return words.String()
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > count {
		lines = lines[len(lines)-count:]
	}

	return strings.Join(lines, "\n")
}
