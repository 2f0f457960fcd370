"""Class labels as folder names, and back: `folder_of` and `label_of` are inverse for any label.

A folder is named like its class unless the name is not portable across file systems, or has a
meaning for training (hidden, a split, a channel). Such characters are percent-encoded: `%5F` for
`_`. A name is decoded only if every `%` in it begins an escape, so `50% off` stands for itself.
Names are read in Unicode's composed form (NFC), because some file systems decompose them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from domain.file_names import NAME_BYTES, folded
from domain.ignored.reasons import why_folder_ignored

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training", "trn"), "train"),
        **dict.fromkeys(("validation", "valid", "val"), "validation"),
        **dict.fromkeys(("eval", "evaluation", "dev", "development"), "validation"),
        **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
    }
)
"""Words that mean a split of the data set, and the split that each one means. Case does not
matter."""

FILLERS = frozenset(
    ("set", "sets", "data", "dataset", "split", "folder", "image", "images", "img", "imgs")
)
"""Words that mean nothing beside a split's: `training_set`, `Test Images`, `valset`."""

GLUED = re.compile(rf"({'|'.join(SPLITS)})({'|'.join(FILLERS)})")

WEIGHTS = "weights"
"""The training channel that holds pretrained weights and no images."""

CONTINUES = "%-"
"""The suffix of a folder whose subfolder continues the label, for labels beyond 255 bytes."""

EMPTY = "%empty"

FORBIDDEN = frozenset('/\\:*?"<>|')
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
"""Device names of Windows, which are reserved with any extension."""

SEGMENT_BYTES = NAME_BYTES - len(CONTINUES) - len("%5F") - len("🐈".encode())


def folder_of(label: str) -> PurePosixPath:
    """The folder of a class: one name, or nested folders for a label that exceeds 255 bytes."""
    if not label:
        return PurePosixPath(EMPTY)
    for is_plain in (_is_plain, _is_plain_beside_escapes, _is_plain_ascii):
        path = _segments(_escape(label, is_plain))
        name = str(path)
        composed = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
        if all(_is_read_as(label, PurePosixPath(form)) for form in composed):
            return path
    return _spelled_out(label)


def label_of(folder: PurePosixPath) -> str:
    """The class of a folder, the inverse of `folder_of`; `folder` holds the nested folders too."""
    *firsts, last = folder.parts
    joined = "".join(first.removesuffix(CONTINUES) for first in firsts) + last
    name = unicodedata.normalize("NFC", joined)
    label = _unescaped(name)
    return name if label is None else label


def split_name(folder: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a folder's name has a word for, and the other words: `seg_train` is `train`
    of `seg`, and `Training` is `train` of nothing. None without such a word, or with several.

    Whether a name of other words too means a split depends on the folders beside it: `test tube`
    is a class.
    """
    spaced = re.sub("(?<=[a-z])(?=[A-Z])", " ", folder)
    words = [word.casefold() for word in re.findall(r"[^\W\d_]+|\d+", spaced)]
    splits = {SPLITS.get(word) or _glued_split(word) for word in words} - {""}
    if len(splits) != 1:
        return None
    others = (word for word in words if word not in FILLERS and not _is_split(word))
    return splits.pop(), tuple(others)


def is_split(folder: str) -> bool:
    """Whether a folder's name means a split whatever lies beside it."""
    name = split_name(folder)
    return name is not None and not name[1]


def _glued_split(word: str) -> str:
    """`train` for `trainset`; empty for other words."""
    match = GLUED.fullmatch(word)
    return SPLITS[match[1]] if match else ""


def _is_split(word: str) -> bool:
    return word in SPLITS or bool(_glued_split(word))


class ClassFolders:
    """Assigns the folders of one data set so that no two are the same on any file system.

    Some file systems ignore case: next to `Cat`, the class `cat` is written with escapes only.
    """

    def __init__(self, existing: Iterable[PurePosixPath] = ()) -> None:
        self._taken = {_key(path): _composed(path) for path in existing}

    def folder_of(self, label: str) -> PurePosixPath:
        """The folder of a class; the same label always gets the same folder."""
        for path in (folder_of(label), _spelled_out(label)):
            segments = [path, *path.parents[:-1]]
            if all(self._taken.get(_key(one), _composed(one)) == _composed(one)
                   for one in segments):  # fmt: skip
                self._taken |= {_key(one): _composed(one) for one in segments}
                return path
        raise AssertionError("names that are all escapes are equal only for equal labels")


def _is_read_as(label: str, path: PurePosixPath) -> bool:
    """Whether `label_of`, and the search for class folders in training data, read it as `label`."""
    is_ambiguous = path.name.endswith(CONTINUES) or not all(map(_is_safe, path.parts))
    return not is_ambiguous and label_of(path) == label


def _spelled_out(label: str) -> PurePosixPath:
    """Every character escaped, so that no two labels have names that differ only in case."""
    return _segments(_escape(label, lambda one: False)) if label else PurePosixPath(EMPTY)


def _is_plain(one: str) -> bool:
    return one.isprintable() and one not in FORBIDDEN


def _is_plain_beside_escapes(one: str) -> bool:
    return _is_plain(one) and one != "%"


def _is_plain_ascii(one: str) -> bool:
    return _is_plain_beside_escapes(one) and one.isascii()


def _escape(label: str, is_plain: Callable[[str], bool]) -> str:
    parts = [one if is_plain(one) else _escaped(one) for one in label]
    if parts[-1] in (" ", "."):
        parts[-1] = _escaped(parts[-1])
    return "".join(parts)


def _escaped(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "surrogatepass"))


def _unescaped(name: str) -> str | None:
    """Decode the escapes of a name; None if it is not encoded and stands for itself."""
    if name == EMPTY:
        return ""
    pieces = re.split("((?:%[0-9A-Fa-f]{2})+)", name)
    if any("%" in piece for piece in pieces[::2]):
        return None
    try:
        pieces[1::2] = [
            bytes.fromhex(piece.replace("%", "")).decode("utf-8", "surrogatepass")
            for piece in pieces[1::2]
        ]
    except UnicodeDecodeError:
        return None
    return "".join(pieces)


def _segments(name: str) -> PurePosixPath:
    *firsts, last = _chunks(name) if len(name.encode()) > NAME_BYTES else [name]
    chunks = [*(f"{first}{CONTINUES}" for first in firsts), last]
    return PurePosixPath(
        *(chunk if _is_safe(chunk) else _escaped(chunk[0]) + chunk[1:] for chunk in chunks)
    )


def _chunks(name: str) -> Iterator[str]:
    chunk, size = "", 0
    for token in re.findall("%[0-9A-F]{2}|.", name):
        if size + len(token.encode()) > SEGMENT_BYTES:
            yield chunk
            chunk, size = "", 0
        chunk, size = chunk + token, size + len(token.encode())
    yield chunk


def _is_safe(name: str) -> bool:
    """Whether the name is not ignored, and is not a split, a channel or a device name."""
    device = name.partition(".")[0].rstrip(" ").lower()
    return not (
        name[0] == "_"  # many programs hide it
        or why_folder_ignored(name)
        or is_split(name)
        or name == WEIGHTS
        or device in DEVICES
        or name[0] == " "
        or name[-1] in " ."
    )


def _composed(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path))


def _key(path: PurePosixPath) -> str:
    return folded(str(path))
