package charts

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
)

// uploader puts blobs and manifests into a registry through its API, without a network.
type uploader struct {
	to         http.Handler
	repository string
}

func (u uploader) blob(content []byte) error {
	return u.send(http.MethodPost, fmt.Sprintf("/v2/%s/blobs/uploads/?digest=%s", u.repository, digest(content)), "application/octet-stream", content)
}

func (u uploader) manifest(tag string, content []byte) error {
	return u.send(http.MethodPut, fmt.Sprintf("/v2/%s/manifests/%s", u.repository, tag), manifestType, content)
}

func (u uploader) send(method, path, contentType string, content []byte) error {
	request, err := http.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(content))
	if err != nil {
		return err
	}

	request.Header.Set("Content-Type", contentType)

	answer := &answer{header: http.Header{}, status: http.StatusOK}
	u.to.ServeHTTP(answer, request)

	if answer.status != http.StatusCreated {
		return fmt.Errorf("%s %s: status %d: %s", method, path, answer.status, strings.TrimSpace(answer.body.String()))
	}

	return nil
}

// answer records the response of a handler.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header               { return a.header }
func (a *answer) WriteHeader(status int)            { a.status = status }
func (a *answer) Write(content []byte) (int, error) { return a.body.Write(content) }
