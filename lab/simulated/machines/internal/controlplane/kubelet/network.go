package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// syncNode sets the node's condition NetworkUnavailable according to its Cilium agent.
func (k *kubelets) syncNode(ctx context.Context, name string) error {
	node, err := k.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		k.lost.forget(name)

		return nil
	}

	if err != nil {
		return err
	}

	up := k.agentReady(name)
	if up {
		k.lost.forget(name)
	}

	if up == networkWorks(node) {
		return nil
	}

	if up {
		k.Log.Info("the node has a network", "node", name)

		return k.patchNetwork(ctx, name, networkUp())
	}

	// A restarting agent leaves its CNI configuration in place, so the node keeps its network for a
	// while.
	if rest := k.NetworkGrace - k.lost.since(name); rest > 0 {
		k.nodeQueue.AddAfter(name, rest)

		return nil
	}

	k.Log.Info("the node has lost its network", "node", name)

	return k.patchNetwork(ctx, name, networkGone())
}

// agentReady reports whether a Cilium agent pod on the node is ready.
func (k *kubelets) agentReady(node string) bool {
	for _, pod := range k.podsOn(node) {
		if isCiliumAgent(pod) && pod.DeletionTimestamp == nil && podReady(pod) {
			return true
		}
	}

	return false
}

func (k *kubelets) patchNetwork(ctx context.Context, node string, condition map[string]any) error {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{condition}}})
	if err != nil {
		return err
	}

	_, err = k.Client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("cannot set the network condition of node %s: %w", node, err)
	}

	return nil
}

// networkUp is the condition that Cilium sets on a node when its agent is up.
func networkUp() map[string]any {
	now := metav1.Now()

	return map[string]any{
		"type": corev1.NodeNetworkUnavailable, "status": corev1.ConditionFalse,
		"reason": "CiliumIsUp", "message": "Cilium is running on this node",
		"lastHeartbeatTime": now, "lastTransitionTime": now,
	}
}

// networkGone removes the condition. Before Cilium, a node does not have it.
func networkGone() map[string]any {
	return map[string]any{"$patch": "delete", "type": corev1.NodeNetworkUnavailable}
}

func networkWorks(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeNetworkUnavailable {
			return condition.Status == corev1.ConditionFalse
		}
	}

	return false
}

func isCiliumAgent(pod *corev1.Pod) bool {
	return pod.Namespace == metav1.NamespaceSystem && pod.Labels["k8s-app"] == "cilium"
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}

	return false
}

// lostSince records since when nodes are without their agent.
type lostSince struct {
	mu    sync.Mutex
	times map[string]time.Time
}

func newLostSince() *lostSince { return &lostSince{times: map[string]time.Time{}} }

func (l *lostSince) since(node string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()

	if _, known := l.times[node]; !known {
		l.times[node] = time.Now()
	}

	return time.Since(l.times[node])
}

func (l *lostSince) forget(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	delete(l.times, node)
}
