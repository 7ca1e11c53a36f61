// Package restricted detects hosts whose root lacks a capability that containers usually have.
package restricted

import (
	"os"
	"strconv"
	"strings"
)

// Capability is the one that root lacks there. Privileged containers, higher limits and lower oom scores need it.
const Capability = "CAP_SYS_RESOURCE"

// The capability's number in linux/capability.h.
const bit = 24

// Here reports whether this process's bounding set lacks the capability, so that no child can have it.
func Here() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && In(string(status))
}

// In reports the same for the text of a process's status file. A text without a bounding set is unrestricted.
func In(status string) bool {
	for line := range strings.Lines(status) {
		mask, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		bounding, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		return err == nil && bounding>>bit&1 == 0
	}
	return false
}
