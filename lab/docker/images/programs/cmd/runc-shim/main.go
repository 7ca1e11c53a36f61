// runc-shim is runc inside a node. On a restricted host it first removes from each container what the host refuses; then,
// or at once elsewhere, it becomes the real runc.
package main

import (
	"fmt"
	"os"
	"syscall"

	"firstlight.dev/lab/images/restricted"
)

const runc = "/usr/libexec/firstlight/runc"

func main() {
	if restricted.Here() {
		if err := restricted.Permit(os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "runc-shim: cannot edit the container for this host: %v\n", err)
			os.Exit(1)
		}
	}
	err := syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	fmt.Fprintf(os.Stderr, "runc-shim: cannot start %s: %v\n", runc, err)
	os.Exit(1)
}
