"""The kind target: Kubernetes of kubeadm in containers, with real kubelets, real Cilium and real Flux, and no Talos anywhere.

Brought up and ended by `python -m lab.kind`; shares engine and network with the docker target, Git host, `op` stand-in, keys and tree with both labs.
"""
