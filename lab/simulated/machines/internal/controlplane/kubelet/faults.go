package kubelet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fault model of pods. The key "pods" of faults.json maps "namespace/prefix of the name" to a
// fault: one of these words, or an object that also has the container and the message that the pod
// reports:
//
//	image_pull   the pod's images cannot be pulled: it stays in ImagePullBackOff;
//	             message is the registry's answer
//	no_sandbox   its sandbox cannot be created: it stays in ContainerCreating
//	start_error  the runtime cannot start a container; message is the runtime's error
//	crash        a container exits with code 1 repeatedly; message is the end of its log, which a
//	             pod's status shows only if its terminationMessagePolicy says so
//
// A fault affects pods that have not started yet and, if it names a container, only pods that have
// it. Running pods keep running, as in reality. The fault ends when its line is removed. A fault
// that cannot be parsed blocks the pods that it might affect, and the log reports why.
//
// What never breaks here: a pod that started stays up, and its containers never restart.
const (
	imagePull  = "image_pull"
	noSandbox  = "no_sandbox"
	startError = "start_error"
	crash      = "crash"
)

// startErrorCode is the exit code that containerd gives a container that never ran.
const startErrorCode = 128

// faultRetry is how soon a pod notices that its fault is over.
const faultRetry = time.Second

// fault is the fault of a pod.
type fault struct {
	Kind string `json:"fault"`
	// Container is the container that fails in pods that have it; by default the first one that is
	// not an init container.
	Container string `json:"container"`
	Message   string `json:"message"`
}

// UnmarshalJSON reads a word or an object. It rejects a misspelt key, which would silently change
// the fault.
func (f *fault) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &f.Kind) == nil {
		return nil
	}

	type plain fault

	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	return decoder.Decode((*plain)(f))
}

// podFault returns the fault of a pod. The longest prefix of its name counts.
func podFault(path string, pod *corev1.Pod) (fault, error) {
	raw, err := os.ReadFile(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return fault{}, nil
	}

	if err != nil {
		return fault{}, fmt.Errorf("cannot read the faults: %w", err)
	}

	var faults struct {
		Pods map[string]fault `json:"pods"`
	}
	if err := json.Unmarshal(raw, &faults); err != nil {
		return fault{}, fmt.Errorf("cannot read the faults in %s: %w", path, err)
	}

	longest, found := "", fault{}

	for beginning, one := range faults.Pods {
		if !strings.HasPrefix(pod.Namespace+"/"+pod.Name, beginning) || len(beginning) < len(longest) {
			continue
		}

		switch one.Kind {
		case imagePull, noSandbox, startError, crash:
			longest, found = beginning, one
		default:
			return fault{}, fmt.Errorf("cannot use the faults in %s: %q of %s is not a fault of a pod", path, one.Kind, beginning)
		}
	}

	return found, nil
}

// spares reports whether the fault is of a container that the pod does not have.
func (f fault) spares(pod *corev1.Pod) bool {
	return f.Container != "" && !slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers),
		func(container corev1.Container) bool { return container.Name == f.Container })
}

// complain logs an error in the faults once, because each pod is checked again and again.
func (k *kubelets) complain(message string) {
	if _, before := k.complaints.LoadOrStore(message, true); !before {
		k.Log.Error(message)
	}
}

// suffer writes a pod's fault to its status, once.
func (k *kubelets) suffer(ctx context.Context, fault fault, pod *corev1.Pod) error {
	statuses := fault.statuses(pod)
	if len(statuses) == 0 || alreadyShown(pod) {
		return nil
	}

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": statuses})
	if err != nil {
		return err
	}

	_, err = k.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("cannot write the fault of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}

	return nil
}

// statuses are the container statuses that the kubelet reports for the failing containers, by field
// of the pod's status.
func (f fault) statuses(pod *corev1.Pod) map[string]any {
	shown := map[string]any{}

	for field, containers := range map[string][]corev1.Container{"initContainerStatuses": pod.Spec.InitContainers, "containerStatuses": pod.Spec.Containers} {
		var statuses []map[string]any

		for index, container := range containers {
			if f.concerns(container, field, index) {
				statuses = append(statuses, f.status(container, pod))
			}
		}

		if statuses != nil {
			shown[field] = statuses
		}
	}

	return shown
}

func (f fault) concerns(container corev1.Container, field string, index int) bool {
	switch {
	case f.Kind == noSandbox:
		return false
	case f.Container != "":
		return container.Name == f.Container
	default:
		return field == "containerStatuses" && (f.Kind == imagePull || index == 0)
	}
}

func (f fault) status(container corev1.Container, pod *corev1.Pod) map[string]any {
	status := map[string]any{"name": container.Name, "image": container.Image, "imageID": "", "ready": false, "restartCount": 0}

	if f.Kind == imagePull {
		said := fmt.Sprintf("Back-off pulling image %q", container.Image)
		if f.Message != "" {
			said += ": ErrImagePull: " + f.Message
		}

		status["state"] = waiting("ImagePullBackOff", said)

		return status
	}

	ended := map[string]any{"exitCode": 1, "reason": "Error", "startedAt": metav1.Now(), "finishedAt": metav1.Now()}

	switch {
	case f.Kind == startError:
		ended["exitCode"], ended["reason"], ended["message"] = startErrorCode, "StartError", f.Message
	case container.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError:
		ended["message"] = f.Message
	}

	status["restartCount"] = 1
	status["state"] = waiting("CrashLoopBackOff", fmt.Sprintf("back-off 10s restarting failed container=%s pod=%s_%s(%s)",
		container.Name, pod.Name, pod.Namespace, pod.UID))
	status["lastState"] = map[string]any{"terminated": ended}

	return status
}

func waiting(reason, message string) map[string]any {
	return map[string]any{"waiting": map[string]any{"reason": reason, "message": message}}
}

// alreadyShown reports whether a container already waits with a reason of its own.
func alreadyShown(pod *corev1.Pod) bool {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if state := status.State.Waiting; state != nil && strings.HasSuffix(state.Reason, "BackOff") {
			return true
		}
	}

	return false
}
