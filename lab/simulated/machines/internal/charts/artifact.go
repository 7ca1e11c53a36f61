package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// The media types that `helm push` uses.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.cncf.helm.config.v1+json"
	contentType  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// artifact is one chart in the form of an OCI registry.
type artifact struct {
	name, version    string
	config, manifest []byte
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// newArtifact creates the config (the chart's Chart.yaml) and the manifest for a package.
func newArtifact(content []byte) (artifact, error) {
	description, err := chartYAML(content)
	if err != nil {
		return artifact{}, err
	}

	config, err := yaml.YAMLToJSON(description)
	if err != nil {
		return artifact{}, fmt.Errorf("cannot read its Chart.yaml: %w", err)
	}

	var chart struct{ Name, Version, Description string }
	if err := json.Unmarshal(config, &chart); err != nil {
		return artifact{}, fmt.Errorf("cannot read its Chart.yaml: %w", err)
	}

	if chart.Name == "" || chart.Version == "" {
		return artifact{}, errors.New("its Chart.yaml has no name or no version")
	}

	rendered, err := json.Marshal(manifest{
		SchemaVersion: 2,
		MediaType:     manifestType,
		Config:        describe(configType, config),
		Layers:        []descriptor{describe(contentType, content)},
		Annotations: map[string]string{
			"org.opencontainers.image.title":       chart.Name,
			"org.opencontainers.image.version":     chart.Version,
			"org.opencontainers.image.description": chart.Description,
		},
	})
	if err != nil {
		return artifact{}, err
	}

	return artifact{name: chart.Name, version: chart.Version, config: config, manifest: rendered}, nil
}

// chartYAML finds <name>/Chart.yaml in a package. Those of subcharts are deeper.
func chartYAML(content []byte) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("it is not a package: %w", err)
	}

	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it contains no Chart.yaml")
		}

		if err != nil {
			return nil, fmt.Errorf("it is not a package: %w", err)
		}

		if _, file, found := strings.Cut(strings.TrimPrefix(header.Name, "./"), "/"); found && file == "Chart.yaml" {
			return io.ReadAll(archive)
		}
	}
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(content), Size: len(content)}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)

	return "sha256:" + hex.EncodeToString(sum[:])
}
