"""Names that strangers choose (S3 keys, members of archives), as files below a folder of ours.

The one place that says which names those are. What writes the files must also follow no link that
lies in the folder already: `training.launch.upload` looks first, archives go into new folders.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from domain.errors import SortboxError

NAME_BYTES = 255
"""Of one folder or file: what Linux and macOS take."""

PATH_BYTES = 1024
"""Of all together: an S3 key has no more."""


SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


class UnsafeName(SortboxError, ValueError):
    """Why this name cannot be a file below a folder; the sentence shows it escaped."""


def relative(name: str) -> PurePosixPath:
    """The name as a path that stays below its folder on every system. Raises UnsafeName.

    Names that systems read differently are refused rather than repaired: repaired, two of them
    could become one.
    """
    parts = name.split("/")
    if not name or name.startswith("/"):
        raise UnsafeName(f"{shown(name)} is no relative name")
    if any(part in ("", ".", "..") for part in parts):
        raise UnsafeName(f"{shown(name)} has a segment that is empty, . or ..")
    if "\\" in name:
        raise UnsafeName(f"{shown(name)} has a backslash, which divides folders on some systems")
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in name):
        raise UnsafeName(f"{shown(name)} has a control character or half of a surrogate pair")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > NAME_BYTES or sum(sizes) + len(sizes) - 1 > PATH_BYTES:
        raise UnsafeName(
            f"{shown(name)} is longer than {NAME_BYTES} bytes a segment, {PATH_BYTES} in all"
        )
    return PurePosixPath(name)


def below(prefix: str, key: str) -> PurePosixPath:
    """Where an S3 object of a prefix lands, as SageMaker names it. Raises UnsafeName.

    `p` and `p/` both give `p/a/b` the name `a/b`. A prefix that is the object itself, or ends in
    the middle of a name, keeps the whole name.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    if key.startswith(folder):
        return relative(key[len(folder) :])
    return relative(key[len(prefix.rpartition("/")[0]) :].removeprefix("/"))


def is_hidden(segment: str) -> bool:
    """`.` and `_` hide a name; `..` and longer runs of dots are odd names, not hidden ones."""
    return segment.startswith(("_", ".")) and segment.strip(".") != ""


def is_passed_over(name: str) -> bool:
    """Hidden, or a file that systems leave behind: nobody's image, in the inbox or in training."""
    return is_hidden(name) or name.lower() in SYSTEM_FILES


def folded(text: str) -> str:
    """Equal for names that some disks take for one: they ignore case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def shown(name: str) -> str:
    """Short, escaped and quoted."""
    return ascii(name if len(name) <= 100 else f"{name[:60]}…{name[-30:]}")


@dataclass
class Names:
    """The files of one folder so far: none twice, and none where others need a folder.

    Holds 8 bytes for each name and each folder above it: a million names, some 100 MB. By hash with
    a secret key of this process, so that nobody can make two of them collide.
    """

    ignore_case: bool
    """Also names that differ in case, or in how letters are composed, as some disks do."""
    _files: set[int] = field(default_factory=set)
    _folders: set[int] = field(default_factory=set)

    def add(self, path: PurePosixPath) -> None:
        """Raises UnsafeName."""
        own = self._key(path)
        above = [self._key(folder) for folder in path.parents]
        if own in self._files:
            raise UnsafeName(f"{shown(str(path))} is there twice")
        if own in self._folders or not self._files.isdisjoint(above):
            raise UnsafeName(f"{shown(str(path))} is a file where another name needs a folder")
        self._files.add(own)
        self._folders.update(above)

    def _key(self, path: PurePosixPath) -> int:
        text = str(path)
        return hash(folded(text) if self.ignore_case else text)
