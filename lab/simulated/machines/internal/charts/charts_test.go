package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/labtools"
)

// pack creates a package like `helm package`.
func pack(t *testing.T, name, version string) []byte {
	t.Helper()

	var packed bytes.Buffer

	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)

	files := map[string]string{
		name + "/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 9.9.9\n",
		name + "/Chart.yaml":            fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\ndescription: a test\n", name, version),
		name + "/values.yaml":           "replicas: 1\n",
	}
	for _, path := range []string{name + "/charts/sub/Chart.yaml", name + "/Chart.yaml", name + "/values.yaml"} {
		if err := archive.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(files[path]))}); err != nil {
			t.Fatal(err)
		}

		if _, err := archive.Write([]byte(files[path])); err != nil {
			t.Fatal(err)
		}
	}

	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}

	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}

	return packed.Bytes()
}

// chartsDir creates a folder with one packaged chart.
func chartsDir(t *testing.T, name, version string) string {
	t.Helper()

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name+"-"+version+".tgz"), pack(t, name, version), 0o600); err != nil {
		t.Fatal(err)
	}

	return dir
}

func status(t *testing.T, handler http.Handler, method, path string) int {
	t.Helper()

	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))

	return recorder.Code
}

func TestAChartIsServedUnderItsVersionWithAndWithoutV(t *testing.T) {
	registry, err := newRegistry(chartsDir(t, "demo", "v1.2.3+build.4"))
	if err != nil {
		t.Fatal(err)
	}

	for _, tag := range []string{"1.2.3_build.4", "v1.2.3_build.4"} {
		if code := status(t, registry, http.MethodGet, "/v2/charts/demo/manifests/"+tag); code != http.StatusOK {
			t.Errorf("tag %s: status %d", tag, code)
		}
	}

	if code := status(t, registry, http.MethodGet, "/v2/charts/demo/manifests/1.2.4"); code != http.StatusNotFound {
		t.Errorf("a version that is not there: status %d", code)
	}
}

func TestTheRegistryIsReadOnly(t *testing.T) {
	registry, err := newRegistry(chartsDir(t, "demo", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}

	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if code := status(t, registry, method, "/v2/charts/demo/manifests/1.0.0"); code != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, code)
		}
	}
}

func TestTheChartYAMLOfTheChartIsFoundNotOfASubchart(t *testing.T) {
	made, err := newArtifact(pack(t, "demo", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}

	if made.name != "demo" || made.version != "1.0.0" {
		t.Fatalf("found %s %s", made.name, made.version)
	}
}

func TestAFileThatIsNotAPackageIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broken.tgz"), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}

	if _, err := newRegistry(dir); err == nil || !strings.Contains(err.Error(), "broken.tgz") {
		t.Fatalf("error: %v", err)
	}
}

func TestTheRepositoryServesOnlyPackagesAndTheIndex(t *testing.T) {
	dir := chartsDir(t, "demo", "1.0.0")
	for _, name := range []string{"index.yaml", "secret.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("entries: {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	repository := newRepository(dir)
	for path, want := range map[string]int{
		"/charts/index.yaml": 200, "/charts/demo-1.0.0.tgz": 200, "/charts/secret.txt": 404, "/charts/": 404, "/index.yaml": 404,
	} {
		if code := status(t, repository, http.MethodGet, path); code != want {
			t.Errorf("%s: status %d, want %d", path, code, want)
		}
	}
}

func TestRealHelmPullsFromBoth(t *testing.T) {
	helm := filepath.Join(labtools.Need(t, "helm"), "helm")
	dir := chartsDir(t, "demo", "1.0.0")
	run(t, helm, "repo", "index", dir)

	lab := config.Lab{LabAddress: "127.25.99.1", RegistryPort: freePort(t), ChartsPort: freePort(t), ChartsDir: dir}

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- Serve(ctx, lab) }()

	awaitHTTP(t, fmt.Sprintf("http://127.25.99.1:%d/charts/index.yaml", lab.ChartsPort))
	awaitHTTP(t, fmt.Sprintf("http://127.25.99.1:%d/v2/", lab.RegistryPort))

	for kind, arguments := range map[string][]string{
		"registry":   {"pull", fmt.Sprintf("oci://127.25.99.1:%d/charts/demo", lab.RegistryPort), "--version", "1.0.0", "--plain-http"},
		"repository": {"pull", "demo", "--repo", fmt.Sprintf("http://127.25.99.1:%d/charts", lab.ChartsPort), "--version", "1.0.0"},
	} {
		into := t.TempDir()
		run(t, helm, append(arguments, "--destination", into)...)

		pulled, err := os.ReadFile(filepath.Join(into, "demo-1.0.0.tgz"))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}

		if !bytes.Equal(pulled, pack(t, "demo", "1.0.0")) {
			t.Errorf("%s: the chart that was pulled is another one", kind)
		}
	}

	cancel()

	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, program string, arguments ...string) {
	t.Helper()

	command := exec.Command(program, arguments...)
	command.Env = []string{"HOME=" + t.TempDir()}

	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, arguments, err, output)
	}
}

func freePort(t *testing.T) int {
	t.Helper()

	listener, err := net.Listen("tcp", "127.25.99.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port
}

func awaitHTTP(t *testing.T, url string) {
	t.Helper()

	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			_ = response.Body.Close()

			return
		}

		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
