package egress

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// service finds the program that stands in for a service, if the service has a pod that is ready.
func (p *proxy) service(ctx context.Context, host, port string) (string, error) {
	service, err := findService(ctx, p.Client, host)
	if err != nil {
		return "", err
	}

	name := service.Namespace + "/" + service.Name
	if !offers(service, port) {
		return "", fmt.Errorf("service %s has no port %s", name, port)
	}

	ready, err := hasReadyPod(ctx, p.Client, service)
	if err != nil {
		return "", err
	}

	if !ready {
		return "", fmt.Errorf("no endpoints available for service %q", service.Name)
	}

	address, known := p.StandIns[name]
	if !known {
		return "", fmt.Errorf("nothing stands in for service %s in this lab", name)
	}

	return address, nil
}

// findService finds a service by its cluster address or its name in the cluster's DNS.
func findService(ctx context.Context, client kubernetes.Interface, host string) (*corev1.Service, error) {
	if labels := strings.Split(host, "."); len(labels) >= 3 && labels[2] == "svc" {
		return client.CoreV1().Services(labels[1]).Get(ctx, labels[0], metav1.GetOptions{})
	}

	services, err := client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list services: %w", err)
	}

	for i := range services.Items {
		if services.Items[i].Spec.ClusterIP == host {
			return &services.Items[i], nil
		}
	}

	return nil, fmt.Errorf("no service has the address %s", host)
}

func offers(service *corev1.Service, port string) bool {
	for _, offered := range service.Spec.Ports {
		if strconv.Itoa(int(offered.Port)) == port {
			return true
		}
	}

	return false
}

func hasReadyPod(ctx context.Context, client kubernetes.Interface, service *corev1.Service) (bool, error) {
	slices, err := client.DiscoveryV1().EndpointSlices(service.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service.Name})
	if err != nil {
		return false, fmt.Errorf("cannot list the endpoints of service %s/%s: %w", service.Namespace, service.Name, err)
	}

	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				return true, nil
			}
		}
	}

	return false, nil
}
