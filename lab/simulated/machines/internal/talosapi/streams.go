package talosapi

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"firstlight.dev/lab/machines/internal/machine"
)

// followInterval is how often a followed log is checked.
const followInterval = 200 * time.Millisecond

// bootIDPath is the only file that talosctl reads by itself, to detect whether a machine has
// rebooted.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Kubeconfig answers `talosctl kubeconfig` with a tar.gz of one file, as Talos does.
func (m *machined) Kubeconfig(_ *emptypb.Empty, stream machineapi.MachineService_KubeconfigServer) error {
	if err := m.checkControlPlane("kubeconfig"); err != nil {
		return err
	}

	cluster := m.node.Config().Cluster()

	content, err := m.kubeconfig(cluster.Name(), cluster.Endpoint().String())
	if err != nil {
		return status.Errorf(codes.Unavailable, "cannot make the kubeconfig of the simulated cluster: %s", err)
	}

	archive, err := tarGz("kubeconfig", content)
	if err != nil {
		return err
	}

	return stream.Send(&common.Data{Bytes: archive})
}

func tarGz(name string, content []byte) ([]byte, error) {
	var buffer bytes.Buffer

	zipper := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipper)

	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), ModTime: time.Now(), Mode: 0o600}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}

	if _, err := archive.Write(content); err != nil {
		return nil, err
	}

	if err := archive.Close(); err != nil {
		return nil, err
	}

	if err := zipper.Close(); err != nil {
		return nil, err
	}

	return buffer.Bytes(), nil
}

// Read answers for the boot id only. There is no file system behind the machine.
func (m *machined) Read(request *machineapi.ReadRequest, stream machineapi.MachineService_ReadServer) error {
	if request.GetPath() != bootIDPath {
		return status.Errorf(codes.Unimplemented, "reading %s is not simulated", request.GetPath())
	}

	return stream.Send(&common.Data{Bytes: []byte(m.node.BootID() + "\n")})
}

// Dmesg answers `talosctl dmesg` with the actions of the simulated machine.
func (m *machined) Dmesg(request *machineapi.DmesgRequest, stream machineapi.MachineService_DmesgServer) error {
	after := 0
	if request.GetTail() {
		_, after = m.node.Console(0)
	}

	return m.follow(request.GetFollow(), stream, func() error {
		var lines []machine.ConsoleLine

		lines, after = m.node.Console(after)
		for _, line := range lines {
			text := fmt.Sprintf("user: warning: [%s]: %s\n", line.At.UTC().Format(time.RFC3339Nano), line.Text)
			if err := stream.Send(&common.Data{Bytes: []byte(text)}); err != nil {
				return err
			}
		}

		return nil
	})
}

// Logs answers `talosctl logs` with the events of the service, because there is no program that
// could log more.
func (m *machined) Logs(request *machineapi.LogsRequest, stream machineapi.MachineService_LogsServer) error {
	known := false

	for _, service := range m.node.Services() {
		known = known || service.GetId() == request.GetId()
	}

	if !known {
		return fmt.Errorf("log %q was not registered", request.GetId())
	}

	after, marker := 0, fmt.Sprintf("service[%s]", request.GetId())

	return m.follow(request.GetFollow(), stream, func() error {
		var lines []machine.ConsoleLine

		lines, after = m.node.Console(after)
		for _, line := range tail(matching(lines, marker), request.GetTailLines()) {
			if err := stream.Send(&common.Data{Bytes: []byte(line.At.UTC().Format(time.RFC3339Nano) + " simulated: " + line.Text + "\n")}); err != nil {
				return err
			}
		}

		return nil
	})
}

func matching(lines []machine.ConsoleLine, marker string) []machine.ConsoleLine {
	var found []machine.ConsoleLine

	for _, line := range lines {
		if strings.Contains(line.Text, marker) {
			found = append(found, line)
		}
	}

	return found
}

func tail(lines []machine.ConsoleLine, count int32) []machine.ConsoleLine {
	if count < 0 || int(count) >= len(lines) {
		return lines
	}

	return lines[len(lines)-int(count):]
}

// follow sends the available lines and, if following, continues until the caller or the machine is
// gone.
func (m *machined) follow(following bool, stream grpc.ServerStream, send func() error) error {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()

	for {
		if err := send(); err != nil || !following {
			return err
		}

		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-m.stopped.Done():
			return nil
		case <-ticker.C:
		}
	}
}
