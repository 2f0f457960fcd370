"""CycloneDX bills of materials (JSON, 1.6), validated against the schema.

`python -m infra.audit.sbom` writes them to build/sbom/, for the bundle and each variant of the
image; `--site FOLDER --of NAME --out FILE` writes one for all packages installed in a folder, as
the image's build does. It runs in its own environment (infra/tools/sbom.in). The output is
reproducible: it has no date, and its serial number is derived from the content.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from domain.version import VERSION
from infra import shipped
from infra.audit import inventory
from infra.audit.inventory import Bundled, InventoryError, ShippedPackage

FOLDER = shipped.REPOSITORY / "build" / "sbom"
PLANNED = (
    "read off this machine's environment by the image's lock; the image holds its own, of what was "
    "installed in it, in /opt/sortbox/sbom.cdx.json"
)


class SbomError(Exception):
    """A generated document violates the schema."""


def document(of: str, parts: Iterable[ShippedPackage], note: str | None = None) -> str:
    """The document as JSON, validated. Raises SbomError."""
    bom = Bom()
    bom.metadata.component = _component(of, VERSION, ComponentType.APPLICATION, _notes(note))
    components = [_of_part(item) for item in parts]
    bom.components.update(components)
    bom.register_dependency(bom.metadata.component, components)
    bom.metadata.timestamp = None
    bom.serial_number = uuid5(NAMESPACE_URL, f"{of} {sorted(map(_identity, components))}")
    text = str(JsonV1Dot6(bom).output_as_string(indent=1))
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SbomError(f"the bill of {of} breaks CycloneDX's schema: {error}")
    return text + "\n"


def _of_part(part: ShippedPackage) -> Any:
    is_deb = part.licence is None and not part.texts and not part.bundled
    kind = "deb" if is_deb else "generic" if part.name == "python" else "pypi"
    purl = PackageURL(kind, "debian" if is_deb else None, part.name, part.version)
    made = _component(part.name, part.version, ComponentType.LIBRARY, [], purl)
    if part.licence is not None:
        made.licenses.add(LicenseFactory().make_from_string(part.licence))
    made.components.update(_of_bundled(part, item) for item in part.bundled)
    return made


def _of_bundled(part: ShippedPackage, bundled: Bundled) -> Any:
    properties = [("version", bundled.told_by if bundled.version else "nobody tells it")]
    properties += [("file", path) for path in bundled.files]
    purl = PackageURL.from_string(bundled.purl) if bundled.purl else None
    kind, ref = ComponentType.LIBRARY, f"{part.name}/{bundled.name}@{bundled.version}"
    notes = [(f"sortbox:{name}", text) for name, text in properties]
    return _component(bundled.name, bundled.version, kind, notes, purl, ref)


def _component(
    name: str,
    version: str | None,
    kind: ComponentType,
    notes: list[tuple[str, str]],
    purl: PackageURL | None = None,
    ref: str | None = None,
) -> Any:
    properties = [Property(name=note, value=value) for note, value in notes]
    ref = ref or f"{name}@{version}"
    return Component(
        name=name, version=version, type=kind, purl=purl, bom_ref=ref, properties=properties
    )


def _notes(note: str | None) -> list[tuple[str, str]]:
    return [("sortbox:note", note)] if note else []


def _identity(component: Any) -> str:
    inner = sorted(_identity(item) for item in component.components)
    return f"{component.name} {component.version} {inner}"


def _site_of_ours() -> Path:
    """The site-packages folder of .venv, which differs from the running interpreter's. Raises
    InventoryError.
    """
    sites = sorted((shipped.REPOSITORY / ".venv" / "lib").glob("python3*/site-packages"))
    if not sites:
        raise InventoryError("there is no .venv: run `make env` first")
    return sites[0]


def _installed(options: argparse.Namespace) -> Iterator[ShippedPackage]:
    yield inventory.python()
    yield from inventory.components(options.site)
    if options.dpkg:
        yield from inventory.of_debian(options.dpkg)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.audit.sbom", description=__doc__)
    parser.add_argument("--site", type=Path, help="everything in this folder")
    parser.add_argument("--dpkg", type=Path, help="and the packages of this dpkg status")
    parser.add_argument("--of", default="sortbox")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.site:
            options.out.write_text(document(options.of, _installed(options)))
            return 0
        site = _site_of_ours()
        FOLDER.mkdir(parents=True, exist_ok=True)
        for thing in inventory.ARTIFACT_LOCKS:
            parts = inventory.components(site, inventory.contents(thing))
            target = FOLDER / f"{thing}.cdx.json"
            note = None if thing == "lambda" else PLANNED
            target.write_text(document(f"sortbox-{thing}", parts, note))
            bundled = [item for part in parts for item in part.bundled]
            unknown = sum(item.version is None for item in bundled)
            print(
                f"{target.relative_to(shipped.REPOSITORY)}: {len(parts)} packages, {len(bundled)} "
                f"things within them, {unknown} of which nobody tells the version"
            )
    except (InventoryError, SbomError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
