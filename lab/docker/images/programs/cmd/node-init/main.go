// node-init is a node's first program; it becomes Talos' init.
//
// On a restricted host the kernel refuses the lower oom scores that Talos sets for its services. Talos tolerates that in a
// user namespace, which it detects by the user id map, so node-init mounts such a map over the real one.
package main

import (
	"fmt"
	"os"
	"syscall"

	"firstlight.dev/lab/images/restricted"
)

const (
	talos = "/usr/sbin/init"
	// Maps one id less than all of them, which is how the map of a user namespace differs.
	idMap = "/usr/libexec/firstlight/uid_map"
)

func main() {
	if restricted.Here() {
		if err := syscall.Mount(idMap, "/proc/1/uid_map", "", syscall.MS_BIND, ""); err != nil {
			fail("cannot prepare Talos for this restricted host", err)
		}
		fmt.Println("node-init: root lacks " + restricted.Capability + " on this host; oom scores and limits stay as they are")
	}
	fail("cannot start "+talos, syscall.Exec(talos, []string{talos}, os.Environ()))
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "node-init: %s: %v\n", what, err)
	os.Exit(1)
}
