"""The real mise installs the tools of mise.toml from a server with the layout of the real ones.

Without a mise on PATH, these tests are skipped; `npm install @jdxcode/mise` brings one.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import shutil
import tarfile
import tomllib
from pathlib import Path

import pytest

from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.progress import PlainDisplay
from firstlight.toolbox.resolve import Origin, resolve
from tests.toolbox.servers import serving

ROOT = Path(__file__).parents[3]
PINS = load_pins(ROOT / "tools/versions.toml").usual()
MISE = shutil.which("mise")
NEEDED = {name: tool for name, tool in PINS.tools.items() if tool.mise and tool.build}
PLATFORM = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}.get(platform.machine(), "")
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")

pytestmark = [
    pytest.mark.skipif(MISE is None, reason="no mise on PATH"),
    pytest.mark.skipif(not ARCH, reason="mise.toml is for amd64 and arm64"),
]

# What each tool answers with its `ask`, as captured from the real ones.
SAYS = {
    "kube-apiserver": "Kubernetes v{}",
    "kube-controller-manager": "Kubernetes v{}",
    "kube-scheduler": "Kubernetes v{}",
    "kubectl": "Client Version: v{}",
    "talosctl": "Talos v{}",
    "flux": "flux version {}",
    "helm": "v{}+g7cfb6e4",
    "etcd": "etcd Version: {}",
    "age": "v{}",
    "age-keygen": "v{}",
    "helmfile": "helmfile version {}",
    "kwok": "kwok version v{}",
    "kwokctl": "kwokctl version v{}",
}


def script(name):
    return f"#!/bin/sh\necho '{SAYS[name].format(NEEDED[name].version)}'\n".encode()


def archive(*names, folder=""):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as file:
        for name in names:
            info = tarfile.TarInfo(f"{folder}{name}")
            info.mode, info.size = 0o755, len(script(name))
            file.addfile(info, io.BytesIO(script(name)))
    return content.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def releases(server):
    """Serve every release at the path of its real address, without the scheme."""
    version = {name: tool.version for name, tool in NEEDED.items()}
    files = {}
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"):
        path = f"dl.k8s.io/v{version[name]}/bin/linux/{ARCH}/{name}"
        files |= {path: script(name), f"{path}.sha256": sha256(script(name)).encode()}
    helm = f"get.helm.sh/helm-v{version['helm']}-linux-{ARCH}.tar.gz"
    packed = archive("helm", folder=f"linux-{ARCH}/")
    files |= {helm: packed, f"{helm}.sha256sum": f"{sha256(packed)}  {Path(helm).name}".encode()}
    etcd = f"etcd-v{version['etcd']}-linux-{ARCH}"
    for repository, tool, sums, assets in (
        (
            "siderolabs/talos",
            "talosctl",
            "sha256sum.txt",
            {f"talosctl-linux-{ARCH}": script("talosctl")},
        ),
        (
            "fluxcd/flux2",
            "flux",
            f"flux_{version['flux']}_checksums.txt",
            {f"flux_{version['flux']}_linux_{ARCH}.tar.gz": archive("flux")},
        ),
        (
            "helmfile/helmfile",
            "helmfile",
            f"helmfile_{version['helmfile']}_checksums.txt",
            {f"helmfile_{version['helmfile']}_linux_{ARCH}.tar.gz": archive("helmfile")},
        ),
        (
            "etcd-io/etcd",
            "etcd",
            "SHA256SUMS",
            {f"{etcd}.tar.gz": archive("etcd", folder=f"{etcd}/")},
        ),
        (
            "FiloSottile/age",
            "age",
            "",
            {
                f"age-v{version['age']}-linux-{ARCH}.tar.gz": archive(
                    "age", "age-keygen", folder="age/"
                )
            },
        ),
        (
            "kubernetes-sigs/kwok",
            "kwok",
            "",
            {f"{name}-linux-{ARCH}": script(name) for name in ("kwok", "kwokctl")},
        ),
    ):
        base = f"github.com/{repository}/releases/download/v{version[tool]}"
        if sums:
            lines = [f"{sha256(content)}  {asset}" for asset, content in assets.items()]
            assets[sums] = "\n".join(lines).encode()
        files |= {f"{base}/{asset}": content for asset, content in assets.items()}
        api = f"api.github.com/repos/{repository}/releases/tags/v{version[tool]}"
        files[api] = json.dumps(
            {
                "tag_name": f"v{version[tool]}",
                "name": f"v{version[tool]}",
                "draft": False,
                "prerelease": False,
                "created_at": "2025-12-01T00:00:00Z",
                "published_at": "2025-12-01T00:00:00Z",
                "assets": [
                    {
                        "name": asset,
                        "url": f"https://api.github.com/assets/{asset}",
                        "browser_download_url": f"https://{base}/{asset}",
                        "digest": f"sha256:{sha256(content)}",
                        "size": len(content),
                    }
                    for asset, content in assets.items()
                ],
            }
        ).encode()
    # Direct requests have a slash first; those to a proxy have the host first.
    server.files |= {f"{slash}{path}": body for path, body in files.items() for slash in ("", "/")}


class Machine:
    """A checkout with mise.toml, an empty home, and mise as the only tool on PATH."""

    def __init__(self, folder, server):
        self.server = server
        self.root = folder / "checkout"
        self.root.mkdir()
        for name in ("tools", "lab"):
            (self.root / name).symlink_to(ROOT / name)
        text = (ROOT / "mise.toml").read_text()
        # The hashes of the real releases, which this server does not have.
        for name, entry in tomllib.loads(text)["tools"].items():
            if name.startswith("http:"):
                real = entry["platforms"][PLATFORM]
                path = re.sub(r"{{ version }}", entry["version"], real["url"]).partition("://")[2]
                text = text.replace(real["checksum"], f"sha256:{sha256(server.files[path])}")
        (self.root / "mise.toml").write_text(text)
        (folder / "bin").mkdir()
        (folder / "bin/mise").symlink_to(MISE)
        self.environ = {
            "PATH": f"{folder / 'bin'}:/bin:/usr/bin",
            "HOME": str(folder / "home"),
            "MISE_HTTP_RETRIES": "0",
            # Signatures are checked against keys that only the internet has.
            "MISE_AQUA_COSIGN": "0",
            "MISE_AQUA_SLSA": "0",
            "MISE_AQUA_GITHUB_ATTESTATIONS": "0",
            "MISE_URL_REPLACEMENTS": json.dumps({"regex:^https://": f"{server.url}/"}),
        }
        self.paths = ToolboxPaths(self.root, folder / "cache")

    def resolve(self, **environ):
        found = resolve(
            PINS,
            self.paths,
            {**self.environ, **environ},
            names=NEEDED,
            download=PlainDisplay(io.StringIO()),
        )
        return {
            name: entry.origin if entry.origin is Origin.MISE else entry.remarks[-1]
            for name, entry in found.items()
        }


@pytest.fixture
def machine(tmp_path):
    with serving() as server:
        releases(server)
        yield Machine(tmp_path, server)


ALL_FROM_MISE = dict.fromkeys(NEEDED, Origin.MISE)


def test_every_tool_comes_from_its_release_at_the_pinned_version(machine):
    assert machine.resolve() == ALL_FROM_MISE


def test_every_tool_comes_through_a_proxy(machine):
    plain = {"MISE_URL_REPLACEMENTS": json.dumps({"regex:^https://": "http://"})}

    found = machine.resolve(http_proxy=machine.server.url, **plain)

    assert found == ALL_FROM_MISE
    assert all(not path.startswith("/") for path in machine.server.asked)


# Of every kind: a hash beside the file, a list of hashes, ours in mise.toml; a file, an archive.
@pytest.mark.parametrize("name", ["kube-apiserver", "talosctl", "flux", "helm", "age", "kwok"])
@pytest.mark.parametrize("harm", ["another content", "missing"])
def test_a_wrong_or_missing_release_costs_only_its_own_tool(machine, name, harm):
    files = machine.server.files
    keys = [
        key
        for key in files
        if re.search(rf"(?<!repos)/{name}(-v|_|-linux|$)[^/]*$", key)
        and not key.endswith(("txt", "sum"))
    ]
    assert {key.removeprefix("/") for key in keys} == {keys[0].removeprefix("/")}
    for key in keys:
        if harm == "missing":
            del files[key]
        else:
            files[key] += b"\n"

    found = machine.resolve()

    hit = {name, "age-keygen"} if name == "age" else {name}
    assert {key: value for key, value in found.items() if key not in hit} == {
        key: Origin.MISE for key in NEEDED if key not in hit
    }
    for key in hit:
        wanted = f"mise cannot install {NEEDED[key].mise}@{NEEDED[key].version}: "
        assert found[key].startswith(wanted)
        assert ("404" if harm == "missing" else "Checksum mismatch") in found[key]
