package talosapi

import (
	"context"
	"net/netip"

	"github.com/siderolabs/talos/pkg/cluster"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubernetesCluster is the list of machines as Kubernetes has it.
func kubernetesCluster(ctx context.Context, kubernetes *cluster.KubernetesClient) (cluster.Info, error) {
	clientset, err := kubernetes.K8sClient(ctx)
	if err != nil {
		return nil, err
	}

	nodes, err := clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}

	infos := listed{}

	for _, node := range nodes.Items {
		machineType := machine.TypeWorker
		if _, ok := node.Labels[constants.LabelNodeRoleControlPlane]; ok {
			machineType = machine.TypeControlPlane
		}

		info, err := nodeInfo(node)
		if err != nil {
			return nil, err
		}

		infos[machineType] = append(infos[machineType], info)
	}

	return infos, nil
}

func nodeInfo(node corev1.Node) (cluster.NodeInfo, error) {
	var info cluster.NodeInfo

	for _, address := range node.Status.Addresses {
		if address.Type != corev1.NodeInternalIP && address.Type != corev1.NodeExternalIP {
			continue
		}

		ip, err := netip.ParseAddr(address.Address)
		if err != nil {
			return info, err
		}

		if address.Type == corev1.NodeInternalIP {
			info.InternalIP = ip
		}

		info.IPs = append(info.IPs, ip)
	}

	return info, nil
}
