package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"firstlight.dev/lab/machines/internal/labproc"
)

// programs are what kwokctl runs, by its own names for them, in start order.
var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller"}

// processes knows which of the programs run for one lab. kwokctl trusts its pid files; here a pid
// counts only if that process is the lab's and runs the program.
type processes struct{ pidDir, lab string }

func (c *ControlPlane) processes() processes {
	return processes{pidDir: filepath.Join(c.paths.clusterDir(), "pids"), lab: c.opts.StateDir}
}

// alive reports whether kwokctl's process of that program runs.
func (p processes) alive(program string) bool {
	pid, err := p.recorded(program)

	return err == nil && labproc.Runs(pid, program, p.lab)
}

// missing returns the programs that do not run.
func (p processes) missing() []string {
	return slices.DeleteFunc(slices.Clone(programs), p.alive)
}

// forgetDead removes the pid files of dead processes, and ends processes without a pid file.
func (p processes) forgetDead() error {
	var known []int

	for _, program := range programs {
		pid, err := p.recorded(program)

		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && labproc.Runs(pid, program, p.lab):
			known = append(known, pid)
		default:
			if err := os.Remove(p.pidFile(program)); err != nil {
				return fmt.Errorf("cannot remove the pid file of %s: %w", program, err)
			}
		}
	}

	for _, pid := range labproc.Find(p.lab, programs...) {
		if slices.Contains(known, pid) {
			continue
		}

		if err := labproc.Kill(pid); err != nil {
			return err
		}
	}

	return nil
}

// endAll ends every program of the lab.
func (p processes) endAll(limit time.Duration) error { return labproc.End(p.lab, limit, programs...) }

func (p processes) pidFile(program string) string { return filepath.Join(p.pidDir, program+".pid") }

func (p processes) recorded(program string) (int, error) {
	raw, err := os.ReadFile(p.pidFile(program))
	if err != nil {
		return 0, err
	}

	return strconv.Atoi(strings.TrimSpace(string(raw)))
}
