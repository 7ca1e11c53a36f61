// Package machine simulates the life of Talos machines: power, boot, clock, services, etcd
// membership and node readiness.
//
// A Fleet is all machines of one cluster. It changes only when Step is called with the current
// time, so that a test can drive it with its own clock. It opens no port and speaks no protocol
// (packages talosapi and ports do). It saves to disk what a real machine saves to disk, which is
// whether it has a configuration and whether it has etcd data, and forgets everything else when its
// power is cut.
//
// Known simplifications: there is one etcd and one API server behind all control plane machines, so
// a second cluster that is bootstrapped by mistake gets etcd members but no Kubernetes; and a lost
// quorum closes the API servers' ports, where real ones would stay open and answer with errors.
package machine
