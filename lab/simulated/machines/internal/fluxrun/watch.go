package fluxrun

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"firstlight.dev/lab/machines/internal/controlplane"
)

// waitForClient waits until the control plane was created. It returns nil if the context ends
// first.
func waitForClient(ctx context.Context, stateDir string) (kubernetes.Interface, error) {
	for !controlplane.IsCreated(stateDir) {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(200 * time.Millisecond):
		}
	}

	config, err := clientcmd.BuildConfigFromFlags("", controlplane.KubeconfigPath(stateDir, "lab"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the lab's kubeconfig: %w", err)
	}

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot use the lab's kubeconfig: %w", err)
	}

	return client, nil
}

// watchDeployments notifies each controller whether its Deployment has an available replica, until
// the context ends.
func watchDeployments(ctx context.Context, client kubernetes.Interface, controllers []*controller) error {
	byName := map[string]*controller{}
	for _, controller := range controllers {
		byName[controller.name] = controller
	}

	tell := func(object any, exists bool) {
		deployment, ok := object.(*appsv1.Deployment)
		if !ok {
			return
		}

		if controller, known := byName[deployment.Name]; known {
			controller.want(exists && deployment.Status.AvailableReplicas > 0)
		}
	}

	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(Namespace))

	_, err := factory.Apps().V1().Deployments().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell(object, true) },
		UpdateFunc: func(_, object any) { tell(object, true) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}

			tell(object, false)
		},
	})
	if err != nil {
		return fmt.Errorf("cannot watch the deployments of Flux: %w", err)
	}

	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()

	return nil
}
