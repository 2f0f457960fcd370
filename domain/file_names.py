"""Turn untrusted names (S3 keys, members of archives) into safe relative paths.

The code that writes the files must also not follow symbolic links that already exist in the
folder: `training.launch.upload` checks for them, and archives are unpacked into new folders.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from domain.errors import SortboxError

NAME_BYTES = 255
"""The longest name of one file or folder on Linux and macOS, in bytes."""

PATH_BYTES = 1024
"""The longest path, in bytes: the limit of an S3 key."""


class UnsafeName(SortboxError, ValueError):
    """The name cannot be a file below a folder; the sentence says why and shows it escaped."""


def relative(name: str) -> PurePosixPath:
    """The name as a relative path that stays below its folder on every operating system.

    Raises UnsafeName. Names that systems interpret differently are rejected and not repaired: two
    names could become the same one.
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
    """The relative path that SageMaker gives an S3 object of a prefix. Raises UnsafeName.

    Both `p` and `p/` map `p/a/b` to `a/b`. A prefix that equals the key, or ends in the middle of a
    segment, keeps that whole segment.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    if key.startswith(folder):
        return relative(key[len(folder) :])
    return relative(key[len(prefix.rpartition("/")[0]) :].removeprefix("/"))


def folded(text: str) -> str:
    """A form that is equal for names that some file systems treat as the same: those that ignore
    case and Unicode composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def shown(name: str) -> str:
    """The name for an error message: quoted, escaped, at most about 90 characters."""
    return ascii(name if len(name) <= 100 else f"{name[:60]}…{name[-30:]}")


@dataclass
class Names:
    """The paths added to one folder so far; detects duplicates, and files in place of folders.

    Stores a hash of each path and of each folder above it, about 100 MB for a million paths. The
    hash is keyed with a secret of this process, so that collisions cannot be constructed.
    """

    ignore_case: bool
    """Also treat names as equal that differ only in case or Unicode composition."""
    _files: set[int] = field(default_factory=set)
    _folders: set[int] = field(default_factory=set)

    def add(self, path: PurePosixPath) -> None:
        """Raises UnsafeName for a duplicate, or a path that is both a file and a folder."""
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
