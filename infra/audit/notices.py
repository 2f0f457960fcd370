"""The notices that third parties' licences ask for: a table, then every licence's own text.

`python -m infra.audit.notices` writes them to build/notices/, of the bundle and of each image's
variant; `--site FOLDER` prints those of everything that is installed there, as the image's build
does.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from infra import shipped
from infra.audit import inventory
from infra.audit.inventory import InventoryError, Part
from infra.audit.licences import EXCEPTIONS

FOLDER = shipped.REPOSITORY / "build" / "notices"
RULE = "=" * 100


def notices(of: str, parts: Iterable[Part]) -> str:
    parts = list(parts)
    named = [f"{each.name} {each.version}" for each in parts]
    width = max(map(len, named))
    licences = [each.licence or "not told" for each in parts]
    table = [f"{n:{width}}  {licence}" for n, licence in zip(named, licences, strict=True)]
    remarks = [
        f"{each.name}: {EXCEPTIONS[each.name][1]}." for each in parts if each.name in EXCEPTIONS
    ]
    sections = [
        f"{RULE}\n{each.name} {each.version}: {path}\n{RULE}\n\n{text.strip()}\n"
        for each in parts
        for path, text in each.texts
    ]
    head = f"Software of third parties in {of}, with its licences.\n"
    return "\n".join([head, *table, "", *remarks, "", *sections])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.audit.notices", description=__doc__)
    parser.add_argument("--site", type=Path, help="everything in this folder, to the output")
    given = parser.parse_args(arguments)
    try:
        if given.site:
            print(notices("this image", inventory.parts(given.site)))
            return 0
        site = inventory.own_site()
        FOLDER.mkdir(parents=True, exist_ok=True)
        for thing in inventory.THINGS:
            parts = inventory.parts(site, inventory.contents(thing))
            target = FOLDER / f"{thing}.txt"
            target.write_text(notices(f"sortbox's {thing}", parts))
            print(f"{target.relative_to(shipped.REPOSITORY)}: {len(parts)} packages")
    except InventoryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
