package charts

import (
	"io/fs"
	"os"
	"strings"
)

// packages shows only the repository's own files, index.yaml and *.tgz: no folder is listed, no other file given away.
type packages string

// Open implements fs.FS.
func (p packages) Open(name string) (fs.File, error) {
	if name != "index.yaml" && (!strings.HasSuffix(name, ".tgz") || strings.Contains(name, "/")) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}

	return os.DirFS(string(p)).Open(name)
}
