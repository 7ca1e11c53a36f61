package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firstlight.dev/lab/machines/internal/faults"
)

// bench is a faults file and the errors reported about it.
type bench struct {
	t      *testing.T
	path   string
	source *faults.Source
	errors []string
}

func newBench(t *testing.T) *bench {
	t.Helper()

	b := &bench{t: t, path: filepath.Join(t.TempDir(), "faults.json")}
	b.source = faults.NewSource(b.path, func(err error) { b.errors = append(b.errors, err.Error()) })

	return b
}

func (b *bench) write(content string) {
	b.t.Helper()

	if err := os.WriteFile(b.path, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestNoFileMeansNoFaults(t *testing.T) {
	b := newBench(t)

	if got := b.source.For("cp-1"); got != (faults.Set{}) || b.errors != nil {
		t.Errorf("got %+v, %v", got, b.errors)
	}
}

func TestAChangedFileIsReadAgain(t *testing.T) {
	b := newBench(t)

	b.write(`{"nodes": {"cp-1": {"down": true}}}`)
	if !b.source.For("cp-1").Down || b.source.For("cp-2").Down {
		t.Error("the fault is not on cp-1 alone")
	}

	b.write(`{"nodes": {"cp-2": {"time_skew_s": 1.5}}}`)
	if b.source.For("cp-1").Down || b.source.For("cp-2").Skew().String() != "1.5s" {
		t.Error("the new file is not in force")
	}

	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}

	if got := b.source.For("cp-2"); got != (faults.Set{}) {
		t.Errorf("after removal: %+v", got)
	}
}

func TestAMachinesOwnLineOverridesTheOneForAll(t *testing.T) {
	b := newBench(t)

	b.write(`{"nodes": {"*": {"down": true, "link_mtu": 1500}, "cp-1": {"down": false}}, "pods": {"anything": "else"}}`)

	if got := b.source.For("cp-1"); got.Down || got.LinkMTU != 1500 {
		t.Errorf("cp-1: %+v", got)
	}

	if !b.source.For("cp-2").Down {
		t.Error("cp-2 is not down")
	}
}

func TestAnInvalidFileIsReportedAndChangesNothing(t *testing.T) {
	for content, want := range map[string]string{
		`{"nodes": `:                               "unexpected end of JSON input",
		`{"nodes": {"cp-1": {"dwon": true}}}`:      `unknown field "dwon"`,
		`{"nodes": {"cp-1": {"down": "yes"}}}`:     "cannot unmarshal string",
		`{"nodes": {"cp-2": {"link_mtu": -1500}}}`: "cannot unmarshal number -1500",
	} {
		t.Run(want, func(t *testing.T) {
			b := newBench(t)
			b.write(`{"nodes": {"cp-1": {"down": true}}}  `)
			b.source.For("cp-1")

			b.write(content)

			if !b.source.For("cp-1").Down {
				t.Error("the earlier faults are gone")
			}

			if len(b.errors) != 1 || !strings.Contains(b.errors[0], want) {
				t.Errorf("got %q, want %q", b.errors, want)
			}
		})
	}
}
