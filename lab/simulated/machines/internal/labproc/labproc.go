// Package labproc finds and ends the processes of one lab.
//
// Every process of a lab carries the lab's state folder in its environment. A process id alone
// proves nothing: after a kill or a reboot it may belong to another process.
package labproc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Variable is the environment variable that marks the processes of a lab.
const Variable = "FIRSTLIGHT_LAB"

// Mark is the entry of the environment for the lab with that state folder.
func Mark(stateDir string) string { return Variable + "=" + stateDir }

// Runs reports whether a process is alive, runs that program and belongs to that lab.
func Runs(pid int, program, stateDir string) bool {
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(arguments) == 0 { // a zombie has no command line
		return false
	}

	name, _, _ := bytes.Cut(arguments, []byte{0})
	if filepath.Base(string(name)) != program {
		return false
	}

	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}

	return slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(entry []byte) bool {
		return string(entry) == Mark(stateDir)
	})
}

// Find returns the lab's live processes that run one of the programs.
func Find(stateDir string, programs ...string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}

	var pids []int

	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}

		if slices.ContainsFunc(programs, func(program string) bool { return Runs(pid, program, stateDir) }) {
			pids = append(pids, pid)
		}
	}

	return pids
}

// End kills the lab's processes that run one of the programs, and waits until they are gone.
func End(stateDir string, limit time.Duration, programs ...string) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		left := Find(stateDir, programs...)
		if len(left) == 0 {
			return nil
		}

		if time.Now().After(deadline) {
			return fmt.Errorf("cannot end %v: processes %v are still running after %s", programs, left, limit)
		}

		for _, pid := range left {
			if err := Kill(pid); err != nil {
				return err
			}
		}
	}
}

// Kill kills one process. It is no error if that process is already gone.
func Kill(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot end process %d: %w", pid, err)
	}

	return nil
}
