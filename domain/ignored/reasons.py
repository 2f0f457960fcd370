"""Why a file is ignored, by its name."""

import re
from collections.abc import Iterable
from fnmatch import translate
from itertools import starmap

from domain.ignored.names import FILES, FOLDERS, HIDDEN, SystemNames


def why_ignored(name: str) -> str | None:
    """Why a file is ignored, by its last path segment; None for what may be an image."""
    return _FILES.why(name)


def why_folder_ignored(segment: str) -> str | None:
    """Why all files in a folder are ignored, by one path segment; None for a person's folder."""
    return _FOLDERS.why(segment)


def why_content_ignored(folders: Iterable[str]) -> str | None:
    """Why a file in these folders is ignored, whatever its own name is."""
    for segment in folders:
        if reason := why_folder_ignored(segment):
            return f"in a folder that is ignored ({reason})"
    return None


def why_path_ignored(path: str) -> str | None:
    """Why a file is ignored, by its path: a folder above it, or its own name."""
    *folders, name = path.split("/")
    return why_content_ignored(folders) or why_ignored(name)


class _Names:
    """All patterns as one regular expression with a group per row: one match per name."""

    def __init__(self, rows: tuple[SystemNames, ...]) -> None:
        self._reasons = [row.reason for row in rows]
        groups = starmap(_group, enumerate(rows))
        self._pattern = re.compile("|".join(groups), re.IGNORECASE)

    def why(self, name: str) -> str | None:
        """Segments of dots alone are not hidden."""
        match = self._pattern.match(name)
        if match and match.lastgroup:
            return self._reasons[int(match.lastgroup[1:])]
        return HIDDEN if name.startswith(".") and name.strip(".") else None


def _group(number: int, row: SystemNames) -> str:
    return f"(?P<r{number}>{'|'.join(map(translate, row.names))})"


_FILES, _FOLDERS = _Names(FILES), _Names(FOLDERS)
