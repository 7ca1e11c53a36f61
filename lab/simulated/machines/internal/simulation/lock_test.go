package simulation

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestOnlyOneSimulationPerState(t *testing.T) {
	dir := t.TempDir()

	first, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}

	_, err = lockState(dir)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another simulated-machines runs on it (pid %d)", os.Getpid())) {
		t.Errorf("second: %v", err)
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	third, err := lockState(dir)
	if err != nil {
		t.Fatalf("after the first ended: %v", err)
	}

	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}
