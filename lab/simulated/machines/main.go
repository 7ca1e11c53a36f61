package main

import (
	_ "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "github.com/google/go-containerregistry/pkg/v1/remote"
	_ "github.com/siderolabs/crypto/x509"
	_ "github.com/siderolabs/grpc-proxy/proxy"
	_ "github.com/siderolabs/talos/pkg/cluster/check"
	_ "github.com/siderolabs/talos/pkg/machinery/client"
	_ "github.com/siderolabs/talos/pkg/machinery/resources/network"
	_ "k8s.io/api/core/v1"
	_ "k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/dynamic"
	_ "sigs.k8s.io/yaml"
)

func main() {}
