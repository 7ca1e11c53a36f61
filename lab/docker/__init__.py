"""The docker target: real Talos machines in containers, with real kubelets, Cilium and Flux.

`python -m lab.docker` manages it. It shares the Git server, the `op` stand-in, the keys and the
copy of the definition with the simulated target.
"""
