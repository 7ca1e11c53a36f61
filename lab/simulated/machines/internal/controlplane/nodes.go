package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"firstlight.dev/lab/machines/internal/controlplane/kubelet"
)

const controlPlaneRole = "controlplane"

// networkNotReady is what a kubelet reports while it finds no CNI configuration.
const networkNotReady = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady " +
	"message:Network plugin returns error: cni plugin not initialized"

var errNotStarted = errors.New("the control plane was not started")

// RegisterNode creates the node like its kubelet would, NotReady. An existing node is left
// unchanged.
func (c *ControlPlane) RegisterNode(ctx context.Context, spec NodeSpec) error {
	client, err := c.kubernetes()
	if err != nil {
		return err
	}

	machine, err := readMachine(c.opts)
	if err != nil {
		return err
	}

	_, err = client.CoreV1().Nodes().Create(ctx, c.node(spec, machine.workloadsOnNodes), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = c.SetKubelet(ctx, spec.Hostname, true)
	}

	if err != nil {
		return fmt.Errorf("cannot register node %s: %w", spec.Hostname, err)
	}

	if spec.Role == controlPlaneRole {
		return createMirrorPods(ctx, client, spec)
	}

	return nil
}

// NodeReady reports whether the node's condition Ready is True. A node that never registered is an
// error.
func (c *ControlPlane) NodeReady(ctx context.Context, hostname string) (bool, error) {
	client, err := c.kubernetes()
	if err != nil {
		return false, err
	}

	node, err := client.CoreV1().Nodes().Get(ctx, hostname, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("cannot read node %s: %w", hostname, err)
	}

	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue, nil
		}
	}

	return false, nil
}

func (c *ControlPlane) kubernetes() (kubernetes.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.client == nil {
		return nil, errNotStarted
	}

	return c.client, nil
}

func (c *ControlPlane) node(spec NodeSpec, workloads bool) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: spec.Hostname,
			Labels: map[string]string{
				"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
				corev1.LabelArchStable: "amd64", corev1.LabelOSStable: "linux", corev1.LabelHostname: spec.Hostname,
				kubelet.PoweredLabel: kubelet.Powered,
			},
			Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
		},
		Status: nodeStatus(spec, int32(c.ports.Kwok)),
	}

	if spec.Role != controlPlaneRole {
		return node
	}

	node.Labels[constants.LabelNodeRoleControlPlane] = ""
	node.Labels[constants.LabelExcludeFromExternalLB] = ""

	if !workloads {
		node.Spec.Taints = []corev1.Taint{{Key: constants.LabelNodeRoleControlPlane, Effect: corev1.TaintEffectNoSchedule}}
	}

	return node
}

func nodeStatus(spec NodeSpec, kubeletPort int32) corev1.NodeStatus {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("400Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}

	return corev1.NodeStatus{
		Capacity:    capacity,
		Allocatable: capacity,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: spec.Address}, {Type: corev1.NodeHostName, Address: spec.Hostname},
		},
		Conditions:      registeredConditions(),
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: kubeletPort}},
		NodeInfo: corev1.NodeSystemInfo{
			Architecture:            "amd64",
			OperatingSystem:         "linux",
			OSImage:                 fmt.Sprintf("Talos (%s)", spec.TalosVersion),
			KernelVersion:           constants.DefaultKernelVersion,
			ContainerRuntimeVersion: "containerd://" + constants.DefaultContainerdVersion,
			KubeletVersion:          spec.KubernetesVersion,
		},
	}
}

// registeredConditions are those of a new node without CNI.
func registeredConditions() []corev1.NodeCondition {
	now := metav1.NewTime(time.Now())

	condition := func(kind corev1.NodeConditionType, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{
			Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message,
			LastHeartbeatTime: now, LastTransitionTime: now,
		}
	}

	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, "KubeletNotReady", networkNotReady),
	}
}
