"""CycloneDX documents: by the library, held to its schema. Skipped before `make sbom` was run once.

What goes into them is tested in test_inventory.py, without the library.
"""

import json
import subprocess
from pathlib import Path

import pytest

from infra import shipped
from infra.audit import inventory

TOOLS = shipped.REPOSITORY / ".local" / "sbom-venv" / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not TOOLS.is_file(), reason="`make sbom` builds the environment of its library"
)


def document(folder: Path) -> str:
    """Of pillow-heif and uvloop, and of a base with one package, as the image's build makes it."""
    site, status = folder / "site", folder / "status"
    if not site.exists():
        site.mkdir()
        for name in ("pillow_heif", "pillow_heif.libs", "pillow_heif-*.dist-info", "uvloop-*"):
            for path in inventory.own_site().glob(name):
                (site / path.name).symlink_to(path)
        status.write_text("Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n")
    out = folder / "sbom.json"
    command = [str(TOOLS), "-W", "error", "-m", "infra.audit.sbom", "--site", str(site)]
    command += ["--dpkg", str(status), "--of", "sample", "--out", str(out)]
    done = subprocess.run(command, cwd=shipped.REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out.read_text()


def test_a_document_names_packages_what_is_within_them_and_the_base(tmp_path: Path) -> None:
    found = json.loads(document(tmp_path))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    components = {each["name"]: each for each in found["components"]}
    assert set(components) == {"libc6", "pillow-heif", "python", "uvloop"}
    assert components["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9"
    heif = components["pillow-heif"]
    assert heif["purl"] == f"pkg:pypi/pillow-heif@{heif['version']}"
    assert "GPL-2.0-only" in heif["licenses"][0]["expression"]
    within = {each["name"]: each for each in heif["components"]}
    assert set(within) == {"libheif", "libde265", "x265"}
    assert all(each["version"] for each in within.values())
    depends = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    assert len(depends[found["metadata"]["component"]["bom-ref"]]) == len(components)


def test_the_same_packages_make_the_same_bytes(tmp_path: Path) -> None:
    assert document(tmp_path) == document(tmp_path)
