package charts

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// repositoryPrefix is the path of every chart in the registry: charts/<name>:<version>.
const repositoryPrefix = "charts/"

// newRegistry creates an OCI registry with every package of the folder.
func newRegistry(dir string) (http.Handler, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the charts in %s: %w", dir, err)
	}

	writable := registry.New(registry.Logger(log.New(io.Discard, "", 0)))

	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the chart %s: %w", file, err)
		}

		if err := push(writable, content); err != nil {
			return nil, fmt.Errorf("cannot put the chart %s into the registry: %w", file, err)
		}
	}

	return readOnly(writable), nil
}

// push stores one package like `helm push`, under its version and under the version with a leading
// "v".
func push(to http.Handler, content []byte) error {
	made, err := newArtifact(content)
	if err != nil {
		return err
	}

	client := uploader{to: to, repository: repositoryPrefix + made.name}

	for _, blob := range [][]byte{made.config, content} {
		if err := client.blob(blob); err != nil {
			return err
		}
	}

	// A tag cannot contain "+", so Helm writes "_" instead.
	bare := strings.TrimPrefix(strings.ReplaceAll(made.version, "+", "_"), "v")

	for _, tag := range []string{bare, "v" + bare} {
		if err := client.manifest(tag, made.manifest); err != nil {
			return err
		}
	}

	return nil
}

// readOnly rejects everything that would change the registry.
func readOnly(all http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			http.Error(response, "this registry is read-only", http.StatusMethodNotAllowed)

			return
		}

		all.ServeHTTP(response, request)
	})
}
