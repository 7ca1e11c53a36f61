package restricted

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestABoundingSetWithoutTheCapabilityIsRestricted(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tinit\nCapBnd:\t000001fffeffffff\n": true,
		"Name:\tinit\nCapBnd:\t000001ffffffffff\n": false,
		"Name:\tinit\n":           false,
		"CapBnd:\tnot a number\n": false,
	} {
		if got := In(status); got != want {
			t.Errorf("%q: restricted is %v", status, got)
		}
	}
}

const process = `{"args":["x"],"oomScoreAdj":-999,"rlimits":[{"type":"RLIMIT_NOFILE"}],
	"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]}}`

var permitted = map[string]any{
	"args":         []any{"x"},
	"capabilities": map[string]any{"bounding": []any{"CAP_CHOWN"}, "effective": []any{}},
}

func TestABundleLosesWhatTheHostRefuses(t *testing.T) {
	bundle := t.TempDir()
	config := filepath.Join(bundle, "config.json")
	if err := os.WriteFile(config, []byte(`{"ociVersion":"1.2.0","process":`+process+`}`), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := Permit([]string{"--root", "/run/runc", "create", "--bundle", bundle, "id"}); err != nil {
		t.Fatal(err)
	}

	got := read(t, config)
	if !reflect.DeepEqual(got["process"], any(permitted)) || got["ociVersion"] != "1.2.0" {
		t.Errorf("got %v", got)
	}
}

func TestAnExecsProcessLosesWhatTheHostRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "process.json")
	if err := os.WriteFile(file, []byte(process), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := Permit([]string{"exec", "--process=" + file, "id"}); err != nil {
		t.Fatal(err)
	}

	if got := read(t, file); !reflect.DeepEqual(got, permitted) {
		t.Errorf("got %v", got)
	}
}

func TestOtherCommandsEditNoFile(t *testing.T) {
	if err := Permit([]string{"delete", "--force", "id"}); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{}
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	return content
}
