"""The offline image set: the target's images, built from package registries alone and kept as a registry's storage.

`./task lab:images` makes it, the `docker` target serves and loads it. Nothing here reads an image from anywhere, starts a
container or needs a container engine.
"""

from lab.docker.images.image_set import Image, ImageSet, NodeImage, image_set

__all__ = ["Image", "ImageSet", "NodeImage", "image_set"]
