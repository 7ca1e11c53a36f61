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

// Fault model of pods. The key "pods" of faults.json names pods by "namespace/beginning of the name" and what is wrong, either by one of
// these words or by an object that also says which container, and what is heard of it:
//
//	image_pull   the pod's images cannot be pulled: it is stuck in ImagePullBackOff; message is what the registry said
//	no_sandbox   its sandbox cannot be made: it is stuck in ContainerCreating
//	start_error  a container cannot be started by the runtime; message is what the runtime said
//	crash        a container ends with exit code 1 again and again; message is the end of its log, which a pod's status shows only
//	             where terminationMessagePolicy says so
//
// A fault concerns pods that have not started yet, and that have its container if it names one; what runs goes on, as in reality. It ends when
// its line is taken out. One that cannot be read holds up the pods that it might concern, and the log says why.
// What never breaks here: a pod that started stays up, and its containers never restart.
const (
	imagePull  = "image_pull"
	noSandbox  = "no_sandbox"
	startError = "start_error"
	crash      = "crash"
)

// startErrorCode is the exit code that containerd gives a container that never ran.
const startErrorCode = 128

// faultRetry is how soon a pod finds out that its fault is over.
const faultRetry = time.Second

// fault is what is wrong with a pod.
type fault struct {
	Kind string `json:"fault"`
	// Container is the one that fails, in the pods that have it; the first that is no init container if nothing is said.
	Container string `json:"container"`
	Message   string `json:"message"`
}

// UnmarshalJSON reads a word or an object, and refuses a misspelt key of that: it would change what breaks without a word.
func (f *fault) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &f.Kind) == nil {
		return nil
	}

	type plain fault

	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	return decoder.Decode((*plain)(f))
}

// podFault gives the fault of a pod; the longest beginning of its name counts.
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
			return fault{}, fmt.Errorf("cannot use the faults in %s: %q of %s is no fault of a pod", path, one.Kind, beginning)
		}
	}

	return found, nil
}

// spares reports whether the fault is of a container that the pod has not.
func (f fault) spares(pod *corev1.Pod) bool {
	return f.Container != "" && !slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers),
		func(container corev1.Container) bool { return container.Name == f.Container })
}

// complain says once what is wrong with the faults: each pod is looked at again and again.
func (k *kubelets) complain(message string) {
	if _, before := k.complaints.LoadOrStore(message, true); !before {
		k.Log.Error(message)
	}
}

// suffer shows a pod's fault in its status, once.
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
		return fmt.Errorf("cannot show the fault of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}

	return nil
}

// statuses are what the kubelet says of the containers that fail, by the field of the pod's status.
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

// alreadyShown reports whether a container waits for more than its turn.
func alreadyShown(pod *corev1.Pod) bool {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if state := status.State.Waiting; state != nil && strings.HasSuffix(state.Reason, "BackOff") {
			return true
		}
	}

	return false
}
