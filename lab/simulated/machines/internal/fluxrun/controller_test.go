package fluxrun

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/labproc"
)

// fakeLab is a lab whose only controller is a shell script.
func fakeLab(t *testing.T, script string) config.Lab {
	t.Helper()

	tools := t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "source-controller"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}

	return config.Lab{StateDir: t.TempDir(), ToolsDir: tools, LabAddress: "127.25.97.1", FluxControllers: []string{"source-controller", "helm-controller"}}
}

// supervised runs the lab's only controller.
func supervised(t *testing.T, lab config.Lab) *controller {
	t.Helper()

	controllers, err := available(lab)
	if err != nil || len(controllers) != 1 {
		t.Fatalf("controllers %v, %v", controllers, err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})

	go func() {
		defer close(done)
		controllers[0].supervise(ctx)
	}()

	t.Cleanup(func() {
		cancel()
		<-done
	})

	return controllers[0]
}

func await(t *testing.T, what string, limit time.Duration, look func() bool) {
	t.Helper()

	for deadline := time.Now().Add(limit); !look(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func starts(lab config.Lab) int {
	log, _ := os.ReadFile(filepath.Join(lab.StateDir, "logs", "source-controller.log"))

	return strings.Count(string(log), "started")
}

// processes of the script carry the name of its interpreter.
func processes(lab config.Lab) []int { return labproc.Find(lab.StateDir, "sh", "sleep") }

func TestAControllerRunsOnlyWhileItIsWanted(t *testing.T) {
	lab := fakeLab(t, "echo started; exec sleep 60")
	controller := supervised(t, lab)

	if starts(lab) != 0 {
		t.Fatal("it was started without being wanted")
	}

	controller.want(true)
	await(t, "start", 5*time.Second, func() bool { return starts(lab) == 1 })

	controller.want(false)
	await(t, "stop", 5*time.Second, func() bool { return len(processes(lab)) == 0 })

	controller.want(true)
	await(t, "second start", 5*time.Second, func() bool { return starts(lab) == 2 })
}

func TestAControllerThatDiesIsStartedAgainAfterAPause(t *testing.T) {
	lab := fakeLab(t, "echo started; exit 1")
	supervised(t, lab).want(true)

	began := time.Now()
	await(t, "second start", 5*time.Second, func() bool { return starts(lab) == 2 })

	if pause := time.Since(began); pause < backoffFirst {
		t.Fatalf("it was started again after %s already", pause)
	}
}

func TestAControllerThatIgnoresTheStopIsKilled(t *testing.T) {
	lab := fakeLab(t, "trap '' TERM; echo started; while :; do sleep 0.1; done")
	controller := supervised(t, lab)
	controller.want(true)
	await(t, "start", 5*time.Second, func() bool { return starts(lab) == 1 })

	controller.want(false)
	await(t, "stop", stopGrace+5*time.Second, func() bool { return len(processes(lab)) == 0 })
}

func TestControllersListenOnTheLabsAddressOnly(t *testing.T) {
	for index, name := range []string{"source-controller", "kustomize-controller", "helm-controller"} {
		for _, flag := range arguments(name, "127.25.97.1", "/data", index) {
			key, value, _ := strings.Cut(flag, "=")
			if strings.HasSuffix(key, "-addr") && key != "--events-addr" && !strings.HasPrefix(value, "127.25.97.1:") {
				t.Errorf("%s listens on %q", name, flag)
			}
		}
	}

	if !slices.Contains(arguments("source-controller", "127.25.97.1", "/data", 0), "--storage-adv-addr=127.25.97.1:9790") {
		t.Error("source-controller does not say where its artifacts are")
	}
}

func TestControllersOfAKilledSimulatorAreEnded(t *testing.T) {
	lab := fakeLab(t, "exit 0")

	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}

	orphan := filepath.Join(t.TempDir(), "source-controller")
	if err := os.Symlink(sleep, orphan); err != nil {
		t.Fatal(err)
	}

	command := exec.Command(orphan, "60")
	command.Env = []string{labproc.Mark(lab.StateDir)}

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	gone := make(chan error, 1)

	go func() { gone <- command.Wait() }()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- Run(ctx, lab) }()

	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the orphan lives on")

		_ = command.Process.Kill()
	}

	cancel()

	if err := <-ended; err != nil {
		t.Error(err)
	}
}
