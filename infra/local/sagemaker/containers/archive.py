"""model.tar.gz, opened without trusting it: named regular files are copied, nothing else exists.

What is refused, and how little memory and disk any archive takes, is said in `domain.archive`.
"""

from pathlib import Path

from domain.archive import ArchiveError, members


class ArchiveRefused(ValueError):
    """Says which member, or what about the whole, cannot be accepted."""


def unpack(archive: Path, folder: Path) -> None:
    """Copy the regular files of `archive` below the empty `folder`. Raises ArchiveRefused.

    No link is ever made, so no later member can follow one.
    """
    with archive.open("rb") as packed:
        try:
            for member, content in members(packed, archive.stat().st_size):
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    file.writelines(content)
        except ArchiveError as error:
            raise ArchiveRefused(f"model archive: {error}") from error
