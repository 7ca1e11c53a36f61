package talosapi

import "github.com/siderolabs/talos/pkg/machinery/role"

// The audiences of calls: who may call what, as in machined of Talos 1.12.
var (
	admins    = role.MakeSet(role.Admin)
	operators = role.MakeSet(role.Admin, role.Operator)
	readers   = role.MakeSet(role.Admin, role.Operator, role.Reader)
	etcdViews = role.MakeSet(role.Admin, role.Operator, role.Reader, role.EtcdBackup)
	backups   = role.MakeSet(role.Admin, role.Operator, role.EtcdBackup)
)

// machineCalls are the calls of machine.MachineService by audience. All others are for admins.
var machineCalls = []struct {
	audience role.Set
	names    []string
}{
	{operators, []string{"EtcdAlarmDisarm", "EtcdDefragment", "ImagePull", "PacketCapture", "Reboot", "Restart", "ServiceRestart", "ServiceStart", "ServiceStop", "Shutdown"}},
	{readers, []string{
		"CPUInfo", "CPUFreqStats", "Containers", "DiskStats", "DiskUsage", "Dmesg", "Events", "Hostname", "ImageList", "List", "LoadAvg", "Logs",
		"LogsContainers", "Memory", "Mounts", "NetworkDeviceStats", "Netstat", "Processes", "ServiceList", "Stats", "SystemStat", "Version",
	}},
	{etcdViews, []string{"EtcdAlarmList", "EtcdMemberList", "EtcdStatus"}},
	{backups, []string{"EtcdSnapshot"}},
}

// rules gives each call its audience.
func rules() map[string]role.Set {
	table := map[string]role.Set{
		"/cluster.ClusterService/HealthCheck": readers,
		"/cosi.resource.State/Get":            readers,
		"/cosi.resource.State/List":           readers,
		"/cosi.resource.State/Watch":          readers,
		"/storage.StorageService/Disks":       readers,
		"/time.TimeService/Time":              readers,
		"/time.TimeService/TimeCheck":         readers,
	}

	for _, group := range machineCalls {
		for _, name := range group.names {
			table["/machine.MachineService/"+name] = group.audience
		}
	}

	return table
}
