package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// networkNotReady is a kubelet's event on a pod that waits for a network.
const networkNotReady = "network is not ready: container runtime network not ready: NetworkReady=false " +
	"reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"

// syncPod creates the sandbox of a bound pod as soon as its node can.
func (k *kubelets) syncPod(ctx context.Context, key string) error {
	object, exists, err := k.pods.GetByKey(key)
	if err != nil {
		return err
	}

	pod, ok := object.(*corev1.Pod)
	if !exists || !ok || isFinished(pod) {
		k.addresses.release(key)
		k.warned.Delete(key)

		return nil
	}

	if !needsSandbox(pod) {
		return nil
	}

	node, err := k.nodes.Get(pod.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return nil // a pod bound to a deleted node waits for the garbage collection of pods
	}

	if err != nil {
		return err
	}

	if node.Labels[PoweredLabel] != Powered {
		return nil
	}

	if !pod.Spec.HostNetwork && !networkWorks(node) {
		return k.warn(ctx, key, pod)
	}

	fault, err := podFault(k.FaultsFile, pod)
	if err != nil {
		k.complain(err.Error())

		return err
	}

	switch {
	case fault.Kind == "":
	case fault.spares(pod):
		k.complain(fmt.Sprintf("the fault %s spares pod %s, which has no container %q", fault.Kind, key, fault.Container))
	default:
		k.podQueue.AddAfter(key, faultRetry)

		return k.suffer(ctx, fault, pod)
	}

	address, err := k.address(key, pod, node)
	if err != nil {
		return err
	}

	return k.startSandbox(ctx, pod, address, internalAddress(node))
}

// needsSandbox reports whether a pod is bound, alive, and not yet ready to start containers. KWOK's
// first stage comes before: with two concurrent writers, KWOK would take an old version of the pod
// for its newest and lose its next stage.
func needsSandbox(pod *corev1.Pod) bool {
	if pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil || isFinished(pod) {
		return false
	}

	return hasCondition(pod, corev1.PodInitialized) && !sandboxRuns(pod)
}

func sandboxRuns(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReadyToStartContainers {
			return condition.Status == corev1.ConditionTrue
		}
	}

	return false
}

func hasCondition(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool { return condition.Type == kind })
}

func isFinished(pod *corev1.Pod) bool {
	return pod != nil && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
}

func (k *kubelets) address(key string, pod *corev1.Pod, node *corev1.Node) (string, error) {
	if pod.Spec.HostNetwork {
		return internalAddress(node), nil
	}

	if node.Spec.PodCIDR == "" {
		return "", fmt.Errorf("node %s has no pod network yet", node.Name)
	}

	return k.addresses.take(key, node.Spec.PodCIDR, k.podsOn(node.Name))
}

// startSandbox writes what a kubelet writes when the pod's sandbox runs.
func (k *kubelets) startSandbox(ctx context.Context, pod *corev1.Pod, podIP, hostIP string) error {
	now := metav1.Now()

	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{
			"hostIP": hostIP, "hostIPs": []any{map[string]any{"ip": hostIP}},
			"podIP": podIP, "podIPs": []any{map[string]any{"ip": podIP}},
			"startTime": now,
			"conditions": []any{map[string]any{
				"type": corev1.PodReadyToStartContainers, "status": corev1.ConditionTrue, "lastTransitionTime": now,
			}},
		},
	})
	if err != nil {
		return err
	}

	_, err = k.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("cannot start the sandbox of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}

	return nil
}

// warn emits one event with the reason why the pod waits.
func (k *kubelets) warn(ctx context.Context, key string, pod *corev1.Pod) error {
	if before, known := k.warned.Swap(key, pod.UID); known && before == pod.UID {
		return nil
	}

	now := metav1.Now()

	_, err := k.Client.CoreV1().Events(pod.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: strings.ToLower(pod.Name) + ".", Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		},
		Type: corev1.EventTypeWarning, Reason: "NetworkNotReady", Message: networkNotReady,
		Source:         corev1.EventSource{Component: "kubelet", Host: pod.Spec.NodeName},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}, metav1.CreateOptions{})
	if err != nil {
		k.warned.Delete(key)

		return fmt.Errorf("cannot create an event for pod %s: %w", key, err)
	}

	return nil
}

func internalAddress(node *corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}

	return ""
}
