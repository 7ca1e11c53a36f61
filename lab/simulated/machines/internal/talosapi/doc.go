// Package talosapi serves the Talos API of simulated machines, with Talos's own types,
// certificates, roles and proxying.
//
// Like a real machine, each has two servers: apid, which speaks mutual TLS to the outside and
// forwards calls to itself or to other machines, and machined, which executes them and is reached
// only through an apid. A machine in maintenance mode has one server of the maintenance kind
// instead. The package never decides what a machine does; package machine does.
package talosapi
