"""The docker target: real Talos machines in containers on this computer, with real kubelets, real Cilium and real Flux.

Brought up and ended by `python -m lab.docker`; shares the lab's Git host, `op` stand-in, keys and tree with the simulated target.
"""
