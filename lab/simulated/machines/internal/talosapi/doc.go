// Package talosapi serves the Talos API of simulated machines, with Talos's own types, certificates, roles and proxying.
//
// Each machine has two servers, as a real one has: apid, which speaks mutual TLS to the outside and forwards calls to itself or
// to other machines, and machined, which executes them and is reached only through an apid. A machine in maintenance mode has
// one server of the maintenance kind instead. The package never decides what a machine does; that is package machine.
package talosapi
