package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firstlight.dev/lab/machines/internal/config"
)

func lab() map[string]any {
	return map[string]any{
		"cluster": "infra", "state_dir": "state", "vip": "127.25.11.10", "lab_address": "127.25.11.1",
		"nodes": []map[string]any{
			{"hostname": "infra-cp-1", "address": "127.25.11.11", "role": "controlplane", "machine_config": "cp.yaml"},
			{"hostname": "infra-worker-1", "address": "127.25.11.14", "role": "worker", "machine_config": "/etc/worker.yaml"},
		},
		"timings": map[string]any{"boot_s": 0.5},
	}
}

func load(t *testing.T, content map[string]any) (*config.Lab, error) {
	t.Helper()

	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "machines.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}

	return config.Load(path)
}

func TestPathsAreRelativeToTheDescription(t *testing.T) {
	loaded, err := load(t, lab())
	if err != nil {
		t.Fatal(err)
	}

	dir := filepath.Dir(loaded.StateDir)

	for got, want := range map[string]string{
		loaded.Nodes[0].MachineConfig:  filepath.Join(dir, "cp.yaml"),
		loaded.Nodes[1].MachineConfig:  "/etc/worker.yaml",
		loaded.FaultsFile:              filepath.Join(dir, "state", "faults.json"),
		loaded.Timings.Boot().String(): "500ms",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}

	if loaded.TalosPort != 50000 || loaded.KubernetesPort != 6443 {
		t.Errorf("ports: %d, %d", loaded.TalosPort, loaded.KubernetesPort)
	}
}

func TestImpossibleLabsAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(map[string]any)
		want  string
	}{
		"an address outside loopback": {
			spoil: func(l map[string]any) { node(l, 0)["address"] = "10.25.11.11" },
			want:  "nodes: address of infra-cp-1: 10.25.11.11 is outside 127.0.0.0/8",
		},
		"a virtual address outside loopback": {spoil: func(l map[string]any) { l["vip"] = "10.25.11.10" }, want: "vip: 10.25.11.10 is outside 127.0.0.0/8"},
		"an endpoint outside loopback":       {spoil: func(l map[string]any) { l["endpoint"] = "https://10.25.11.10:6443" }, want: "endpoint: 10.25.11.10 is outside 127.0.0.0/8"},
		"no address":                         {spoil: func(l map[string]any) { node(l, 1)["address"] = "nowhere" }, want: `address of infra-worker-1: "nowhere" is not an IP address`},
		"an address twice": {
			spoil: func(l map[string]any) { node(l, 1)["address"] = "127.25.11.11" },
			want:  "address 127.25.11.11 is used by both infra-cp-1 and infra-worker-1",
		},
		"a node on the virtual address": {
			spoil: func(l map[string]any) { node(l, 1)["address"] = "127.25.11.10" },
			want:  "address 127.25.11.10 is used by both vip and infra-worker-1",
		},
		"a hostname twice":    {spoil: func(l map[string]any) { node(l, 1)["hostname"] = "infra-cp-1" }, want: "hostname infra-cp-1 is used twice"},
		"a role of its own":   {spoil: func(l map[string]any) { node(l, 1)["role"] = "master" }, want: `role "master" of infra-worker-1`},
		"no control plane":    {spoil: func(l map[string]any) { node(l, 0)["role"] = "worker" }, want: "at least one controlplane is needed"},
		"no cluster":          {spoil: func(l map[string]any) { delete(l, "cluster") }, want: "cluster and state_dir must be set"},
		"a wrong lab address": {spoil: func(l map[string]any) { l["lab_address"] = "0.0.0.0" }, want: "lab_address: 0.0.0.0 is outside 127.0.0.0/8"},
	} {
		t.Run(name, func(t *testing.T) {
			content := lab()
			row.spoil(content)

			_, err := load(t, content)

			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func node(content map[string]any, index int) map[string]any {
	return content["nodes"].([]map[string]any)[index]
}
