package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fault model of pods. The key "pods" of faults.json names pods by "namespace/beginning of the name" and what is wrong:
//
//	image_pull   the pod's images cannot be pulled: it is stuck in ImagePullBackOff
//	no_sandbox   its sandbox cannot be made: it is stuck in ContainerCreating
//
// A fault concerns pods that have not started yet; what runs goes on, as in reality. It ends when its line is taken out.
// What never breaks here: a pod that started stays up, and its containers never restart.
const (
	imagePull = "image_pull"
	noSandbox = "no_sandbox"
)

// faultRetry is how soon a pod finds out that its fault is over.
const faultRetry = time.Second

// podFault gives the fault of a pod, or nothing.
func podFault(path string, pod *corev1.Pod) (string, error) {
	raw, err := os.ReadFile(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}

	if err != nil {
		return "", fmt.Errorf("cannot read the faults: %w", err)
	}

	var faults struct {
		Pods map[string]string `json:"pods"`
	}
	if err := json.Unmarshal(raw, &faults); err != nil {
		return "", fmt.Errorf("cannot read the faults in %s: %w", path, err)
	}

	for beginning, fault := range faults.Pods {
		if !strings.HasPrefix(pod.Namespace+"/"+pod.Name, beginning) {
			continue
		}

		if fault != imagePull && fault != noSandbox {
			return "", fmt.Errorf("cannot use the faults in %s: %q of %s is neither %s nor %s", path, fault, beginning, imagePull, noSandbox)
		}

		return fault, nil
	}

	return "", nil
}

// suffer shows a pod's fault in its status, once.
func (k *kubelets) suffer(ctx context.Context, fault string, pod *corev1.Pod) error {
	if fault != imagePull || waitsForImage(pod) {
		return nil
	}

	var statuses []map[string]any
	for _, container := range pod.Spec.Containers {
		statuses = append(statuses, map[string]any{
			"name": container.Name, "image": container.Image, "imageID": "", "ready": false, "restartCount": 0,
			"state": map[string]any{"waiting": map[string]any{
				"reason": "ImagePullBackOff", "message": fmt.Sprintf("Back-off pulling image %q", container.Image),
			}},
		})
	}

	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID}, "status": map[string]any{"containerStatuses": statuses},
	})
	if err != nil {
		return err
	}

	_, err = k.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("cannot show the fault of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}

	return nil
}

func waitsForImage(pod *corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Waiting != nil && status.State.Waiting.Reason == "ImagePullBackOff" {
			return true
		}
	}

	return false
}
