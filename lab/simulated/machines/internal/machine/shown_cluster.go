package machine

import (
	"fmt"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// controlPlanePods are the static pods of a control plane machine.
var controlPlanePods = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}

func serviceKind() resource.Kind { return v1alpha1.NewService("").Metadata() }
func memberKind() resource.Kind  { return cluster.NewMember(cluster.NamespaceName, "").Metadata() }
func affiliateKind() resource.Kind {
	return cluster.NewAffiliate(cluster.NamespaceName, "").Metadata()
}
func etcdMemberKind() resource.Kind { return etcd.NewMember(etcd.NamespaceName, "").Metadata() }
func nodeStatusKind() resource.Kind { return k8s.NewNodeStatus(k8s.NamespaceName, "").Metadata() }
func staticPodKind() resource.Kind  { return k8s.NewStaticPodStatus(k8s.NamespaceName, "").Metadata() }

// serviceResources publishes the running services, as Talos does. A service that waits or failed is
// missing.
func (n *Node) serviceResources() []resource.Resource {
	var shown []resource.Resource

	for _, id := range n.serviceIDs() {
		service := n.services[id]
		if !service.running() {
			continue
		}

		r := v1alpha1.NewService(id)
		*r.TypedSpec() = v1alpha1.ServiceSpec{Running: true, Healthy: service.health.healthy, Unknown: !service.health.known}
		shown = append(shown, r)
	}

	return shown
}

// discovered returns the machines that a machine knows through the discovery service: those that
// run their configuration, and those that went off since. The real service also remembers those for
// half an hour.
func (n *Node) discovered() []*Node {
	if n.cfg == nil || !n.cfg.Cluster().Discovery().Enabled() {
		return nil
	}

	var nodes []*Node

	for _, other := range n.fleet.nodes {
		if other.announced != nil {
			nodes = append(nodes, other)
		}
	}

	return nodes
}

func (n *Node) memberResources() []resource.Resource {
	var shown []resource.Resource

	for _, other := range n.discovered() {
		r := cluster.NewMember(cluster.NamespaceName, other.Hostname)
		spec := r.TypedSpec()
		spec.NodeID, spec.Hostname, spec.Addresses = other.identity(), other.Hostname, other.ips()
		spec.MachineType, spec.OperatingSystem = other.announcedType(), n.operatingSystem()
		spec.ControlPlane = other.discoveredControlPlane()
		shown = append(shown, r)
	}

	return shown
}

func (n *Node) affiliateResources() []resource.Resource {
	var shown []resource.Resource

	for _, other := range n.discovered() {
		r := cluster.NewAffiliate(cluster.NamespaceName, other.identity())
		spec := r.TypedSpec()
		spec.NodeID, spec.Hostname, spec.Nodename, spec.Addresses = other.identity(), other.Hostname, other.Hostname, other.ips()
		spec.MachineType, spec.OperatingSystem = other.announcedType(), n.operatingSystem()
		spec.ControlPlane = other.discoveredControlPlane()
		shown = append(shown, r)
	}

	return shown
}

func (n *Node) discoveredControlPlane() *cluster.ControlPlane {
	if !n.announcedType().IsControlPlane() {
		return nil
	}

	return &cluster.ControlPlane{APIServerPort: n.fleet.lab.KubernetesPort}
}

func (n *Node) operatingSystem() string { return fmt.Sprintf("Talos (%s)", n.fleet.lab.TalosVersion) }

// etcdMemberResources publishes the machine's own member. Talos does so once the member answers.
func (n *Node) etcdMemberResources() []resource.Resource {
	cluster := n.fleet.clusterOf(n)
	if cluster == nil || !n.etcdHealthy() || cluster.member(n.Hostname) == nil {
		return nil
	}

	r := etcd.NewMember(etcd.NamespaceName, etcd.LocalMemberID)
	r.TypedSpec().MemberID = etcd.FormatMemberID(cluster.member(n.Hostname).ID)

	return []resource.Resource{r}
}

func (n *Node) nodeStatusResources() []resource.Resource {
	if !n.nodeKnown {
		return nil
	}

	r := k8s.NewNodeStatus(k8s.NamespaceName, n.Hostname)
	r.TypedSpec().Nodename, r.TypedSpec().NodeReady = n.Hostname, n.nodeReady

	return []resource.Resource{r}
}

func (n *Node) staticPodResources() []resource.Resource {
	if !n.apiServing {
		return nil
	}

	var shown []resource.Resource

	for _, pod := range controlPlanePods {
		r := k8s.NewStaticPodStatus(k8s.NamespaceName, fmt.Sprintf("kube-system/%s-%s", pod, n.Hostname))
		r.TypedSpec().PodStatus = map[string]any{
			"phase":      "Running",
			"hostIP":     n.Address,
			"podIP":      n.Address,
			"conditions": []any{map[string]any{"type": "Ready", "status": "True"}},
		}
		shown = append(shown, r)
	}

	return shown
}
