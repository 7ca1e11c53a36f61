"""The pytest plugins that make up firstlight; all of them are inert without --cluster."""

pytest_plugins = (
    "fixtures.options",
    "fixtures.hooks",
    "fixtures.plan",
    "fixtures.report",
    "fixtures.display",
    "fixtures.cluster",
    "fixtures.actions",
)
