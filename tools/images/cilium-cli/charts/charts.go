// Package charts stands in for the module of Cilium's packaged charts, which is too large for a module proxy.
//
// The CLI only reads the available versions from it as long as Helm installs Cilium. `cilium install` would find an empty
// archive here and report it.
package charts

import "testing/fstest"

// HelmFS names the one chart that the lab installs.
var HelmFS = fstest.MapFS{"cilium-1.18.5.tgz": {}}
