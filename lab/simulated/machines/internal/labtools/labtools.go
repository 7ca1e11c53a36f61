// Package labtools finds the real programs for tests that need them.
package labtools

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable names the folder with the pinned tools.
const Variable = "FIRSTLIGHT_TOOLS_DIR"

// Need returns the folder with the tools. The test is skipped if the variable is not set, and fails
// if a tool is missing.
func Need(t *testing.T, names ...string) string {
	t.Helper()

	dir := os.Getenv(Variable)
	if dir == "" {
		t.Skipf("needs the real programs %v: set %s to the folder that holds them", names, Variable)
	}

	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatalf("%s has no %s: %v", dir, name, err)
		}
	}

	return dir
}
