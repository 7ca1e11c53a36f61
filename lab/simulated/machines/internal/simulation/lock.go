package simulation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockState keeps a second simulation off the same state. The kernel releases the lock however the
// process ends.
func lockState(stateDir string) (*os.File, error) {
	path := filepath.Join(stateDir, "run", "machines.lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the directory of the lock: %w", err)
	}

	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock: %w", err)
	}

	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start on %s: another simulated-machines runs on it (pid %s)", stateDir, holder(path)), file.Close())
	}

	if err := file.Truncate(0); err == nil {
		_, err = fmt.Fprintln(file, os.Getpid())
	}

	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write the lock: %w", err), file.Close())
	}

	return file, nil
}

func holder(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) == 0 {
		return "unknown"
	}

	return string(raw[:len(raw)-1])
}
