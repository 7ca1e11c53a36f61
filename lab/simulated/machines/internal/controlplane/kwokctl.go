package controlplane

import (
	"bytes"
	"context"
	"fmt"
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

	if _, err := os.Stat(c.paths.created()); err == nil {
		return c.kwokctl(ctx, "start", "cluster")
	}

	if err := c.kwokctl(ctx, "create", "cluster",
		"--config", c.paths.config("kwokctl.yaml"), "--kubeconfig", filepath.Join(c.paths.work(), "kubeconfig.yaml")); err != nil {
		return err
	}

	return writeFile(c.paths.created(), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o600)
}

// stopPrograms stops the cluster by kwokctl, and ends what is left.
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
		// Nothing runs any more, which is what was asked for.
		c.log.Warn("kwokctl could not stop the cluster; its programs were ended one by one", "error", failed)
	}

	return nil
}

// kwokctl runs one kwokctl command on the cluster, with a home of its own: the user's is never touched.
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

// lastWords are the ends of the logs of programs that do not run.
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
