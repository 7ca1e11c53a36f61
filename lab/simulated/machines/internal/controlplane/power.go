package controlplane

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"firstlight.dev/lab/machines/internal/controlplane/kubelet"
)

// SetKubelet starts or stops the kubelet of a node. Without it the node's lease is not renewed, so
// Kubernetes reports the node's state as unknown after its grace period of 50 seconds, like for a
// machine that lost its power.
func (c *ControlPlane) SetKubelet(ctx context.Context, hostname string, running bool) error {
	client, err := c.kubernetes()
	if err != nil {
		return err
	}

	var value any
	if running {
		value = kubelet.Powered
	}

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{kubelet.PoweredLabel: value}}})
	if err != nil {
		return err
	}

	_, err = client.CoreV1().Nodes().Patch(ctx, hostname, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) && !running {
		return nil // a node that never registered has no kubelet to stop
	}

	if err != nil {
		return fmt.Errorf("cannot switch the kubelet of node %s: %w", hostname, err)
	}

	return nil
}
