package calllog

import "strings"

// readOnly names the calls that do not change a machine.
//
// Calls that are not listed count as mutating, so a call that Talos adds later is not taken for
// harmless.
var readOnly = map[string]bool{
	"/cluster.ClusterService/HealthCheck":                   true,
	"/cosi.resource.State/Get":                              true,
	"/cosi.resource.State/List":                             true,
	"/cosi.resource.State/Watch":                            true,
	"/inspect.InspectService/ControllerRuntimeDependencies": true,
	"/storage.StorageService/Disks":                         true,
	"/time.TimeService/Time":                                true,
	"/time.TimeService/TimeCheck":                           true,
}

// readOnlyMachineCalls are those of machine.MachineService.
var readOnlyMachineCalls = []string{
	"CPUFreqStats", "CPUInfo", "Containers", "Copy", "DiskStats", "DiskUsage", "Dmesg", "EtcdAlarmList", "EtcdDowngradeValidate",
	"EtcdMemberList", "EtcdSnapshot", "EtcdStatus", "Events", "GenerateClientConfiguration", "GenerateConfiguration", "Hostname",
	"ImageList", "Kubeconfig", "List", "LoadAvg", "Logs", "LogsContainers", "Memory", "Mounts", "Netstat", "NetworkDeviceStats",
	"PacketCapture", "Processes", "Read", "ServiceList", "Stats", "SystemStat", "Version",
}

// Mutating reports whether a call by this full gRPC name may change a machine.
func Mutating(method string) bool {
	if name, ok := strings.CutPrefix(method, "/machine.MachineService/"); ok {
		for _, readOnlyCall := range readOnlyMachineCalls {
			if name == readOnlyCall {
				return false
			}
		}

		return true
	}

	return !readOnly[method]
}
