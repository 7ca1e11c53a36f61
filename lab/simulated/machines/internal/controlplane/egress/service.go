package egress

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// refuseService names the service that the API server cannot reach, and the reason.
func refuseService(ctx context.Context, client kubernetes.Interface, host string) error {
	if labels := strings.Split(host, "."); len(labels) >= 3 && labels[2] == "svc" {
		return unreachable(labels[1], labels[0])
	}

	services, err := client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("cannot list services: %w", err)
	}

	for _, service := range services.Items {
		if service.Spec.ClusterIP == host {
			return unreachable(service.Namespace, service.Name)
		}
	}

	return fmt.Errorf("no service has the address %s, and simulated pods have no network", host)
}

func unreachable(namespace, name string) error {
	return fmt.Errorf("connection refused: the pods of service %s/%s are simulated and answer nothing", namespace, name)
}
