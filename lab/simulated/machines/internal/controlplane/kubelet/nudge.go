package kubelet

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	nudgeEvery = time.Second
	// stuckAfter is much longer than any stage's delay.
	stuckAfter = 5 * time.Second
)

// seen is a version of a pod and the time when it was first seen.
type seen struct {
	version string
	since   time.Time
}

// nudgeStuckPods writes to pods that have waited too long for a stage of KWOK, so that KWOK handles
// them again. KWOK handles the events of one pod concurrently: if two arrive at once, it may act on
// the older one and drop the newer.
func (k *kubelets) nudgeStuckPods(ctx context.Context) {
	known := map[types.UID]seen{}

	for ticker := time.NewTicker(nudgeEvery); ; {
		select {
		case <-ctx.Done():
			ticker.Stop()

			return
		case now := <-ticker.C:
			known = k.nudge(ctx, known, now)
		}
	}
}

// nudge checks every pod once and returns what it saw of those that wait.
func (k *kubelets) nudge(ctx context.Context, before map[types.UID]seen, now time.Time) map[types.UID]seen {
	after := map[types.UID]seen{}

	for _, object := range k.pods.List() {
		pod, ok := object.(*corev1.Pod)
		if !ok || !awaitsStage(pod) {
			continue
		}

		view, known := before[pod.UID]
		if !known || view.version != pod.ResourceVersion {
			view = seen{version: pod.ResourceVersion, since: now}
		}

		if now.Sub(view.since) > stuckAfter && k.powered(pod.Spec.NodeName) {
			k.Log.Warn("a pod waits for KWOK, which is made to look again", "pod", pod.Namespace+"/"+pod.Name)
			k.touch(ctx, pod)

			view.since = now
		}

		after[pod.UID] = view
	}

	return after
}

// awaitsStage reports whether KWOK's stages would move this pod on.
func awaitsStage(pod *corev1.Pod) bool {
	switch {
	case pod.Spec.NodeName == "":
		return false
	case pod.DeletionTimestamp != nil:
		return len(pod.Finalizers) == 0
	case isFinished(pod):
		return false
	case pod.Status.Phase == corev1.PodRunning:
		return slices.ContainsFunc(pod.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.Kind == "Job" })
	default:
		return sandboxRuns(pod) || !hasCondition(pod, corev1.PodInitialized)
	}
}

func (k *kubelets) powered(name string) bool {
	node, err := k.nodes.Get(name)

	return err == nil && node.Labels[PoweredLabel] == Powered
}

// touch creates a new version of the pod without changing anything that matters.
func (k *kubelets) touch(ctx context.Context, pod *corev1.Pod) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []any{
			map[string]any{"type": corev1.PodScheduled, "status": corev1.ConditionTrue, "lastProbeTime": metav1.Now()},
		}},
	})
	if err != nil {
		return
	}

	_, err = k.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		k.Log.Debug("cannot make KWOK look at a pod again", "pod", pod.Name, "error", err)
	}
}
