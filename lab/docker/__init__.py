"""The docker target: real Talos in containers, from their registries or from the offline image set."""
