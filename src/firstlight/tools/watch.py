"""A view: objects as they are now, and a way to sleep until they are so no longer."""

from __future__ import annotations

from firstlight.tools.kubernetes import ApiUnavailable, Kubernetes
from firstlight.tools.objects import Kind, Object, name_of


class View:
    """Objects of one kind, and a way to sleep until they are no longer as they were last seen."""

    def __init__(self, kubernetes: Kubernetes, kind: Kind, *, namespace: str = "") -> None:
        self._kubernetes = kubernetes
        self._kind = kind
        self._namespace = namespace
        self._seen: tuple[str, str, str] = ("", "", "")
        """Version, labels and name of the last look; without a version there was none."""

    def items(self, *, labels: str = "", name: str = "") -> list[Object]:
        """Return the objects as they are now.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: It said no.
        """
        self._seen = ("", "", "")
        items, version = self._kubernetes.list(
            self._kind, namespace=self._namespace, labels=labels, name=name
        )
        self._seen = (version, labels, name)
        return items

    def named(self, name: str) -> Object | None:
        """Return the object of that name, or none; no other one is asked for, as a list of all CRDs takes megabytes."""
        return next((item for item in self.items(name=name) if name_of(item) == name), None)

    def changed(self, longest_s: float) -> None:
        """Block until something that was looked at changes after the last look, or for so many seconds.

        Raises:
            ApiUnavailable: The API server did not answer, or does not know the kind yet.
            ApiRefused: It said no.
        """
        (version, labels, name), self._seen = self._seen, ("", "", "")
        if not version:
            # The last look failed, or the kind is not known yet: there is nothing to watch from.
            raise ApiUnavailable(
                f"cannot watch {self._kind.plural}: the API server does not list them yet"
            )
        self._kubernetes.await_change(
            self._kind, version, longest_s, namespace=self._namespace, labels=labels, name=name
        )
