package simulation

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestOneSimulationToAState(t *testing.T) {
	dir := t.TempDir()

	first, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}

	_, err = lockState(dir)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another simulated-machines runs there (pid %d)", os.Getpid())) {
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
