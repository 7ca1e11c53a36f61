package machine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	timeresource "github.com/siderolabs/talos/pkg/machinery/resources/time"
)

// The partition sizes of a made-up disk. Talos needs at least about 5 GiB for EPHEMERAL.
const (
	stateSizeBytes     = 100 << 20
	ephemeralSizeBytes = 100 << 30
)

// publishFixed publishes what does not change until the next boot.
func (n *Node) publishFixed(ctx context.Context) error {
	shown := []resource.Resource{n.versionResource(), n.securityResource(), n.hardwareResource(), n.platformResource(), n.hostnameResource()}

	if n.mode == Configured {
		shown = append(shown, n.nodenameResource(), config.NewMachineConfig(n.cfg),
			config.NewMachineConfigWithID(n.cfg, config.PersistentID), n.identityResource(),
			n.clusterInfoResource(), volumeResource(constants.StatePartitionLabel, 5, stateSizeBytes),
			volumeResource(constants.EphemeralPartitionLabel, 6, ephemeralSizeBytes))
	}

	return n.putAll(ctx, shown)
}

// publishDue reports whether something published may have changed.
func (n *Node) publishDue(now time.Time) bool {
	if synced := n.timeSynced(now); synced != n.shownSynced {
		n.shownSynced, n.dirty = synced, true
	}

	if n.faults != n.shownFaults {
		n.shownFaults, n.dirty = n.faults, true
	}

	return n.dirty
}

// publishChanging publishes what changes while the machine runs.
func (n *Node) publishChanging(ctx context.Context, now time.Time) error {
	if err := n.putAll(ctx, []resource.Resource{n.statusResource(now), n.timeResource(now), n.networkStatusResource()}); err != nil {
		return err
	}

	if n.mode == Configured {
		if err := n.put(ctx, n.machineTypeResource()); err != nil {
			return err
		}
	}

	for _, list := range []struct {
		kind  resource.Kind
		shown []resource.Resource
	}{
		{network.NewLinkStatus(network.NamespaceName, "").Metadata(), n.linkResources()},
		{network.NewAddressStatus(network.NamespaceName, "").Metadata(), n.addressResources()},
		{network.NewNodeAddress(network.NamespaceName, "").Metadata(), n.nodeAddressResources()},
		{network.NewTimeServerStatus(network.NamespaceName, "").Metadata(), n.timeServerResources()},
		{runtime.NewDiagnostic(runtime.NamespaceName, "").Metadata(), n.diagnosticResources()},
		{serviceKind(), n.serviceResources()},
		{memberKind(), n.memberResources()},
		{affiliateKind(), n.affiliateResources()},
		{etcdMemberKind(), n.etcdMemberResources()},
		{nodeStatusKind(), n.nodeStatusResources()},
		{staticPodKind(), n.staticPodResources()},
	} {
		if err := n.putList(ctx, list.kind, list.shown); err != nil {
			return err
		}
	}

	return nil
}

func (n *Node) versionResource() resource.Resource {
	r := runtime.NewVersion()
	r.TypedSpec().Version = n.fleet.lab.TalosVersion

	return r
}

func (n *Node) securityResource() resource.Resource {
	return runtime.NewSecurityStateSpec(runtime.NamespaceName)
}

func (n *Node) hardwareResource() resource.Resource {
	r := hardware.NewSystemInformation(hardware.SystemInformationID)
	r.TypedSpec().Manufacturer, r.TypedSpec().ProductName = "firstlight", "simulated machine"
	r.TypedSpec().SerialNumber = n.Hostname

	return r
}

func (n *Node) platformResource() resource.Resource {
	r := runtime.NewPlatformMetadataSpec(runtime.NamespaceName, "")
	r.TypedSpec().Platform = "metal"

	return r
}

func (n *Node) hostnameResource() resource.Resource {
	r := network.NewHostnameStatus(network.NamespaceName, network.HostnameID)
	r.TypedSpec().Hostname = n.Hostname

	return r
}

func (n *Node) nodenameResource() resource.Resource {
	r := k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID)
	r.TypedSpec().Nodename, r.TypedSpec().HostnameVersion = n.Hostname, "1"

	return r
}

func (n *Node) machineTypeResource() resource.Resource {
	r := config.NewMachineType()
	r.SetMachineType(n.machineType())

	return r
}

func (n *Node) identityResource() resource.Resource {
	r := cluster.NewIdentity(cluster.NamespaceName, cluster.LocalIdentity)
	r.TypedSpec().NodeID = n.identity()

	return r
}

func (n *Node) clusterInfoResource() resource.Resource {
	r := cluster.NewInfo()
	r.TypedSpec().ClusterID, r.TypedSpec().ClusterName = n.cfg.Cluster().ID(), n.cfg.Cluster().Name()

	return r
}

// volumeResource is one of the partitions of a made-up disk.
func volumeResource(label string, partition int, sizeBytes uint64) resource.Resource {
	r := block.NewVolumeStatus(block.NamespaceName, label)
	spec := r.TypedSpec()
	spec.Phase, spec.Type = block.VolumePhaseReady, block.VolumeTypePartition
	spec.Location, spec.ParentLocation, spec.PartitionIndex = fmt.Sprintf("/dev/sda%d", partition), "/dev/sda", partition
	spec.Filesystem = block.FilesystemTypeXFS
	spec.SetSize(sizeBytes)

	return r
}

func (n *Node) statusResource(now time.Time) resource.Resource {
	r := runtime.NewMachineStatus()
	unmet := n.unmet(now)
	r.TypedSpec().Stage = n.stage()
	r.TypedSpec().Status = runtime.MachineStatusStatus{Ready: len(unmet) == 0, UnmetConditions: unmet}

	return r
}

// diagnosticResources are the machine's own warnings.
func (n *Node) diagnosticResources() []resource.Resource {
	if !n.faults.CSRUnapproved || n.mode != Configured {
		return nil
	}

	r := runtime.NewDiagnostic(runtime.NamespaceName, "kubelet-csr")
	r.TypedSpec().Message = "kubelet server certificate rotation is enabled, but CSR is not approved"

	return []resource.Resource{r}
}

func (n *Node) timeResource(now time.Time) resource.Resource {
	r := timeresource.NewStatus()
	r.TypedSpec().Synced, r.TypedSpec().SyncDisabled = n.timeSynced(now), n.timeSyncDisabled()

	return r
}

func (n *Node) networkStatusResource() resource.Resource {
	r := network.NewStatus(network.NamespaceName, network.StatusID)
	*r.TypedSpec() = network.StatusSpec{AddressReady: true, ConnectivityReady: true, HostnameReady: true, EtcFilesReady: true}

	return r
}

func (n *Node) timeServerResources() []resource.Resource {
	r := network.NewTimeServerStatus(network.NamespaceName, network.TimeServerID)
	r.TypedSpec().NTPServers = []string{n.timeServer()}

	return []resource.Resource{r}
}

// timeServer is the first time server of the configuration, or Talos's own.
func (n *Node) timeServer() string {
	if n.cfg != nil {
		if timeSync := n.cfg.NetworkTimeSyncConfig(); timeSync != nil && len(timeSync.Servers()) > 0 {
			return timeSync.Servers()[0]
		}
	}

	return constants.DefaultNTPServer
}

// ip is the machine's address. The lab's description was checked when it was read.
func (n *Node) ip() netip.Addr { return netip.MustParseAddr(n.Address) }

// ips are the machine's addresses: its own, and the virtual one while it holds it.
func (n *Node) ips() []netip.Addr {
	addresses := []netip.Addr{n.ip()}
	if n.mode == Configured && n.fleet.vipOwner() == n {
		addresses = append(addresses, netip.MustParseAddr(n.fleet.lab.VIP))
	}

	return addresses
}
