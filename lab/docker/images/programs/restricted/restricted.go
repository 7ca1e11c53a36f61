// Package restricted says whether this host keeps from root what containers usually have.
package restricted

import (
	"os"
	"strconv"
	"strings"
)

// Capability is what such a host keeps: privileged containers, higher limits and lower oom scores all need it.
const Capability = "CAP_SYS_RESOURCE"

// Its number in linux/capability.h.
const bit = 24

// Here reports whether the capability is outside of this process's bounding set, so that nothing it starts can have it.
func Here() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && In(string(status))
}

// In reports the same for the text of a process's status file; a text that does not say counts as unrestricted.
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
