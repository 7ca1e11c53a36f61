"""List objects, then block until one of them changes."""

from __future__ import annotations

from firstlight.tools.kubernetes import ApiUnavailable, Kubernetes
from firstlight.tools.objects import Kind, Object, name_of


class ListWatch:
    """Objects of one kind, and a way to wait until they differ from the last list."""

    def __init__(self, kubernetes: Kubernetes, kind: Kind, *, namespace: str = "") -> None:
        self._kubernetes = kubernetes
        self._kind = kind
        self._namespace = namespace
        self._listed: tuple[str, str, str] = ("", "", "")
        """Resource version, labels and name of the last list; all empty before the first."""

    def items(self, *, labels: str = "", name: str = "") -> list[Object]:
        """Return the selected objects, all by default.

        Raises:
            ApiUnavailable: The API server did not answer.
            ApiRefused: The API server refused.
        """
        self._listed = ("", "", "")
        items, version = self._kubernetes.list(
            self._kind, namespace=self._namespace, labels=labels, name=name
        )
        self._listed = (version, labels, name)
        return items

    def named(self, name: str) -> Object | None:
        """Return the object of that name, or None, without listing others such as large CRDs."""
        return next((item for item in self.items(name=name) if name_of(item) == name), None)

    def changed(self, longest_s: float) -> None:
        """Block until a listed object changes after the list, for `longest_s` seconds at most.

        Raises:
            ApiUnavailable: The API server did not answer, or does not know the kind yet.
            ApiRefused: The API server refused.
        """
        (version, labels, name), self._listed = self._listed, ("", "", "")
        if not version:
            # The last list failed, or the kind is unknown, so there is no version to start from.
            raise ApiUnavailable(
                f"cannot watch {self._kind.plural}: the API server does not list them yet"
            )
        self._kubernetes.await_change(
            self._kind, version, longest_s, namespace=self._namespace, labels=labels, name=name
        )
