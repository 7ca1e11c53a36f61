"""Take Talos Linux machines to a Kubernetes cluster under Flux, criterion by criterion.

The library never imports pytest: `fixtures/` is the only bridge between the two.
"""
