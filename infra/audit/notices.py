"""The notices that third-party licences require: a table, then the text of every licence.

`python -m infra.audit.notices` writes them to build/notices/, for the bundle and each variant of
the image; `--site FOLDER` prints them for all packages installed there, as the image's build does.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from infra import shipped
from infra.audit import inventory
from infra.audit.inventory import InventoryError, ShippedPackage
from infra.audit.licences import EXCEPTIONS

FOLDER = shipped.REPOSITORY / "build" / "notices"
RULE = "=" * 100


def notices(of: str, parts: Iterable[ShippedPackage]) -> str:
    parts = list(parts)
    named = [f"{item.name} {item.version}" for item in parts]
    width = max(map(len, named))
    licences = [item.licence or "not told" for item in parts]
    table = [f"{n:{width}}  {licence}" for n, licence in zip(named, licences, strict=True)]
    remarks = [
        f"{item.name}: {EXCEPTIONS[item.name][1]}." for item in parts if item.name in EXCEPTIONS
    ]
    sections = [
        f"{RULE}\n{item.name} {item.version}: {path}\n{RULE}\n\n{text.strip()}\n"
        for item in parts
        for path, text in item.texts
    ]
    head = f"Software of third parties in {of}, with its licences.\n"
    return "\n".join([head, *table, "", *remarks, "", *sections])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.audit.notices", description=__doc__)
    parser.add_argument("--site", type=Path, help="everything in this folder, to the output")
    options = parser.parse_args(arguments)
    try:
        if options.site:
            print(notices("this image", inventory.components(options.site)))
            return 0
        site = inventory.own_site()
        FOLDER.mkdir(parents=True, exist_ok=True)
        for thing in inventory.ARTIFACT_LOCKS:
            parts = inventory.components(site, inventory.contents(thing))
            target = FOLDER / f"{thing}.txt"
            target.write_text(notices(f"sortbox's {thing}", parts))
            print(f"{target.relative_to(shipped.REPOSITORY)}: {len(parts)} packages")
    except InventoryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
