package labproc

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// start runs a copy of sleep under its own name, as a process of the given lab.
func start(t *testing.T, name, stateDir string) *exec.Cmd {
	t.Helper()

	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}

	program := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(sleep, program); err != nil {
		t.Fatal(err)
	}

	command := exec.Command(program, "60")
	command.Env = []string{Mark(stateDir)}

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})

	return command
}

func TestFindsOnlyProgramsOfItsOwnLab(t *testing.T) {
	mine := start(t, "lab-program", "/labs/one")
	start(t, "lab-program", "/labs/two")
	start(t, "other-program", "/labs/one")

	found := Find("/labs/one", "lab-program")
	if len(found) != 1 || found[0] != mine.Process.Pid {
		t.Fatalf("found %v, want [%d]", found, mine.Process.Pid)
	}
}

func TestAReusedPidIsNotOurs(t *testing.T) {
	if Runs(os.Getpid(), "etcd", "/labs/one") {
		t.Fatal("the test itself was taken for the lab's etcd")
	}
}

func TestEndWaitsUntilTheProcessesAreGone(t *testing.T) {
	command := start(t, "lab-program", "/labs/three")
	gone := make(chan struct{})

	go func() {
		_ = command.Wait()
		close(gone)
	}()

	if err := End("/labs/three", 5*time.Second, "lab-program"); err != nil {
		t.Fatal(err)
	}

	<-gone

	if left := Find("/labs/three", "lab-program"); len(left) != 0 {
		t.Fatalf("%v are left", left)
	}
}

func TestSocketsAreThoseOfTheProcess(t *testing.T) {
	listener, err := net.Listen("tcp", "127.25.97.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	for _, socket := range Sockets(os.Getpid()) {
		if socket.Local.String() == listener.Addr().String() {
			return
		}
	}

	t.Fatalf("%s is not among %v", listener.Addr(), Sockets(os.Getpid()))
}
