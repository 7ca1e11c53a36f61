// Package kubelet simulates the parts of the kubelets (and of Cilium's operator) that depend on
// more than one object, which KWOK's stages cannot.
//
// A node's network works while a Cilium agent pod on it is ready. The node's condition
// NetworkUnavailable reports that, and KWOK's stages make the node Ready from it. A pod gets its
// sandbox (its address and the condition PodReadyToStartContainers) once its node has a network, or
// at once if it uses the host's network.
package kubelet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	workers = 4
	byNode  = "node"
)

// A node with this label has a kubelet, simulated by KWOK and this package. It is not an
// annotation, because KWOK does not notice when an annotation is removed.
const (
	PoweredLabel = "lab.firstlight.dev/kubelet"
	Powered      = "runs"
)

// Options are what the kubelets need.
type Options struct {
	Client kubernetes.Interface
	Log    *slog.Logger
	// FaultsFile may contain faults of pods.
	FaultsFile string
	// NetworkGrace is how long a node keeps its network after its Cilium agent is gone. Zero means
	// the default.
	NetworkGrace time.Duration
}

// kubelets act for every node of one cluster.
type kubelets struct {
	Options

	pods      cache.Indexer
	nodes     listers.NodeLister
	nodeQueue workqueue.TypedRateLimitingInterface[string]
	podQueue  workqueue.TypedRateLimitingInterface[string]
	addresses *addresses
	lost      *lostSince
	warned    sync.Map
	// complaints are the errors in the faults that were logged.
	complaints sync.Map
}

// Run runs until the context ends.
func Run(ctx context.Context, opts Options) {
	if opts.NetworkGrace == 0 {
		opts.NetworkGrace = 5 * time.Second
	}

	k := &kubelets{
		Options:   opts,
		nodeQueue: newQueue(),
		podQueue:  newQueue(),
		addresses: newAddresses(),
		lost:      newLostSince(),
	}

	factory := informers.NewSharedInformerFactory(opts.Client, 0)
	if err := k.watch(factory); err != nil {
		opts.Log.Error("cannot watch pods and nodes", "error", err)

		return
	}

	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	var running sync.WaitGroup

	for range workers {
		running.Go(func() { k.work(ctx, k.nodeQueue, k.syncNode) })
		running.Go(func() { k.work(ctx, k.podQueue, k.syncPod) })
	}

	running.Go(func() { k.nudgeStuckPods(ctx) })

	<-ctx.Done()
	k.nodeQueue.ShutDown()
	k.podQueue.ShutDown()
	running.Wait()
	factory.Shutdown()
}

func newQueue() workqueue.TypedRateLimitingInterface[string] {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 10*time.Second)

	return workqueue.NewTypedRateLimitingQueue(limiter)
}

// watch queues changed nodes and pods. A Cilium pod also affects its node, and a node all pods on
// it.
func (k *kubelets) watch(factory informers.SharedInformerFactory) error {
	pods := factory.Core().V1().Pods().Informer()
	nodes := factory.Core().V1().Nodes()
	k.pods, k.nodes = pods.GetIndexer(), nodes.Lister()

	if err := pods.AddIndexers(cache.Indexers{byNode: nodeOfPod}); err != nil {
		return err
	}

	if _, err := pods.AddEventHandler(handle(k.podChanged)); err != nil {
		return err
	}

	_, err := nodes.Informer().AddEventHandler(handle(k.nodeChanged))

	return err
}

func handle(changed func(object any)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, now any) { changed(now) },
		DeleteFunc: changed,
	}
}

func nodeOfPod(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return nil, nil
	}

	return []string{pod.Spec.NodeName}, nil
}

func (k *kubelets) podChanged(object any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return
	}

	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}

	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return
	}

	k.podQueue.Add(key)

	if isCiliumAgent(pod) {
		k.nodeQueue.Add(pod.Spec.NodeName)
	}
}

func (k *kubelets) nodeChanged(object any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return
	}

	k.nodeQueue.Add(key)

	for _, pod := range k.podsOn(key) {
		if needsSandbox(pod) {
			k.podQueue.Add(pod.Namespace + "/" + pod.Name)
		}
	}
}

func (k *kubelets) podsOn(node string) []*corev1.Pod {
	objects, err := k.pods.ByIndex(byNode, node)
	if err != nil {
		return nil
	}

	pods := make([]*corev1.Pod, 0, len(objects))

	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}

	return pods
}

// work processes the keys of one queue. Failed ones are retried later.
func (k *kubelets) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[string], sync func(context.Context, string) error) {
	for {
		key, shutdown := queue.Get()
		if shutdown {
			return
		}

		if err := sync(ctx, key); err != nil && ctx.Err() == nil {
			k.Log.Debug("kubelet tries again", "object", key, "error", err)
			queue.AddRateLimited(key)
		} else {
			queue.Forget(key)
		}

		queue.Done(key)
	}
}
