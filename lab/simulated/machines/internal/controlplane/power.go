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

// SetKubelet says whether the kubelet of a node runs. Without it nobody renews the node's lease, so that Kubernetes finds
// the node's state unknown after its grace period of 50 seconds, as with a machine that lost its power.
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
		return fmt.Errorf("cannot set whether the kubelet of node %s runs: %w", hostname, err)
	}

	return nil
}
