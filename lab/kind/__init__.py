"""The kind target: kubeadm in containers, with real kubelets, Cilium and Flux, without Talos.

`python -m lab.kind` manages it. It shares engine and network with the docker target, and the Git
server, the `op` stand-in, the keys and the copy of the definition with both other targets.
"""
