// node-init is the first program of a node; it becomes Talos' own init.
//
// On a restricted host the kernel refuses the lower oom scores that Talos wants for its services. Talos forgives that where
// it runs in a user namespace, and it learns that from the map of user ids, so this lays a map of such a namespace over it.
package main

import (
	"fmt"
	"os"
	"syscall"

	"firstlight.dev/lab/images/restricted"
)

const (
	talos = "/usr/sbin/init"
	// One id less than all of them, which is how a map of a user namespace differs.
	idMap = "/usr/libexec/firstlight/uid_map"
)

func main() {
	if restricted.Here() {
		if err := syscall.Mount(idMap, "/proc/1/uid_map", "", syscall.MS_BIND, ""); err != nil {
			fail("cannot prepare Talos for this restricted host", err)
		}
		fmt.Println("node-init: this host keeps " + restricted.Capability + " from root; oom scores and limits stay as they are")
	}
	fail("cannot start "+talos, syscall.Exec(talos, []string{talos}, os.Environ()))
}

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "node-init: %s: %v\n", what, err)
	os.Exit(1)
}
