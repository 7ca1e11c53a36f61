"""The offline image set: the target's images, built from package registries alone.

`./task lab:images` builds it into a registry's storage; the `docker` target serves and loads it.
Nothing here pulls an image, starts a container or needs a container engine.
"""

from lab.docker.images.image_set import Image, ImageSet, NodeImage, image_set

__all__ = ["Image", "ImageSet", "NodeImage", "image_set"]
