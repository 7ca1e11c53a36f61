// Package charts stands for the module of Cilium's packaged charts, which is too large for a module proxy to serve.
//
// The CLI wants to know from it which versions there are, and nothing else as long as Helm installs Cilium:
// `cilium install` would find an empty archive here and say so.
package charts

import "testing/fstest"

// HelmFS has the name of the one chart that the lab installs.
var HelmFS = fstest.MapFS{"cilium-1.18.5.tgz": {}}
