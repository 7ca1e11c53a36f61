package kubelet

import (
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// addresses assigns pod addresses from the nodes' pod networks. The pods' statuses are the truth;
// the map only covers the time until a written status comes back.
type addresses struct {
	mu    sync.Mutex
	taken map[string]netip.Addr
}

func newAddresses() *addresses { return &addresses{taken: map[string]netip.Addr{}} }

// take assigns the first free address of the node's network. The first two belong to the node.
func (a *addresses) take(key, network string, others []*corev1.Pod) (string, error) {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return "", fmt.Errorf("cannot use the pod network %q: %w", network, err)
	}

	a.mu.Lock()
	defer a.mu.Unlock()

	if mine, known := a.taken[key]; known && prefix.Contains(mine) {
		return mine.String(), nil
	}

	used := a.used(others)

	for address := prefix.Masked().Addr().Next().Next(); prefix.Contains(address); address = address.Next() {
		if !used[address] && prefix.Contains(address.Next()) { // the last address is the broadcast address
			a.taken[key] = address

			return address.String(), nil
		}
	}

	return "", fmt.Errorf("cannot assign an address to pod %s: the network %s is full", key, network)
}

func (a *addresses) used(others []*corev1.Pod) map[netip.Addr]bool {
	used := make(map[netip.Addr]bool, len(others)+len(a.taken))

	for _, address := range a.taken {
		used[address] = true
	}

	for _, pod := range others {
		if address, err := netip.ParseAddr(pod.Status.PodIP); err == nil && !isFinished(pod) {
			used[address] = true
		}
	}

	return used
}

// release frees the address of a deleted pod.
func (a *addresses) release(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()

	delete(a.taken, key)
}
