"""What every run imports, except the plugins: pytest rewrites the assertions of those."""

from __future__ import annotations

import importlib
import pkgutil
from importlib import resources

import firstlight
from firstlight.report import page

for module in pkgutil.walk_packages(firstlight.__path__, "firstlight."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
importlib.import_module("kubernetes.dynamic")
importlib.import_module("_pytest.pytester")
importlib.import_module("_pytest.legacypath")
importlib.import_module("_pytest.doctest")

# Compiling the report's templates takes a tenth of a second.
for template in (resources.files("firstlight.report") / "templates").iterdir():
    if template.name.endswith(".j2"):
        page._environment().get_template(template.name)
