"""Table of contents: which plugins make up firstlight's pytest side. All of them are inert without --cluster."""

pytest_plugins = (
    "fixtures.options",
    "fixtures.hooks",
    "fixtures.plan",
    "fixtures.report",
    "fixtures.display",
    "fixtures.cluster",
    "fixtures.actions",
)
