package charts

import (
	"io/fs"
	"os"
	"strings"
)

// packages serves only index.yaml and *.tgz: no folder listings and no other files.
type packages string

// Open implements fs.FS.
func (p packages) Open(name string) (fs.File, error) {
	if name != "index.yaml" && (!strings.HasSuffix(name, ".tgz") || strings.Contains(name, "/")) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}

	return os.DirFS(string(p)).Open(name)
}
