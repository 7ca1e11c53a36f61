"""What every run imports, except the plugins: pytest rewrites the assertions of those."""

from __future__ import annotations

import importlib
import pkgutil

import firstlight

for module in pkgutil.walk_packages(firstlight.__path__, "firstlight."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
importlib.import_module("kubernetes.dynamic")
importlib.import_module("_pytest.pytester")
importlib.import_module("_pytest.legacypath")
importlib.import_module("_pytest.doctest")
