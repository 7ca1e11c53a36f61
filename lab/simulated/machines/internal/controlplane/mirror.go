package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// staticPods are what Talos's kubelet runs on every control plane node. Here three nodes share one
// set of programs.
var staticPods = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// createMirrorPods creates the API objects of the node's static pods, as its kubelet does.
func createMirrorPods(ctx context.Context, client kubernetes.Interface, spec NodeSpec) error {
	node, err := client.CoreV1().Nodes().Get(ctx, spec.Hostname, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read node %s: %w", spec.Hostname, err)
	}

	for _, name := range staticPods {
		_, err := client.CoreV1().Pods(metav1.NamespaceSystem).Create(ctx, mirrorPod(name, node, spec), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("cannot create the mirror pod %s of %s: %w", name, spec.Hostname, err)
		}
	}

	return nil
}

func mirrorPod(name string, node *corev1.Node, spec NodeSpec) *corev1.Pod {
	sum := sha256.Sum256([]byte(name + spec.KubernetesVersion))
	hash := hex.EncodeToString(sum[:16])
	controller := true

	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      name + "-" + node.Name,
			Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{
				"tier": "control-plane", "k8s-app": name, "component": name,
				"app.kubernetes.io/name": name, "app.kubernetes.io/version": spec.KubernetesVersion,
				"app.kubernetes.io/component": "control-plane", "app.kubernetes.io/managed-by": "Talos",
			},
			Annotations: map[string]string{
				corev1.MirrorPodAnnotationKey: hash, "kubernetes.io/config.hash": hash, "kubernetes.io/config.source": "file",
			},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: &controller},
			},
		},
		Spec: corev1.PodSpec{
			NodeName:          node.Name,
			HostNetwork:       true,
			PriorityClassName: "system-cluster-critical",
			Tolerations:       []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
			Containers: []corev1.Container{
				{Name: name, Image: fmt.Sprintf("registry.k8s.io/%s:%s", name, spec.KubernetesVersion)},
			},
		},
	}
}
