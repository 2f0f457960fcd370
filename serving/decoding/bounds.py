"""Limits on the work of decoding, checked in the file's structure before it is decoded.

A file can cost far more than its pixels: a progressive JPEG can repeat a scan of 53 bytes, a HEIC
grid its tile, and a TIFF can have a hundred thousand strips. The checks read only the structure,
stop after a fixed number of steps, and reject what no camera or program writes. A file that passes
may still be slow; `serving.decoding.decoder_pool` limits its processor time.
"""

import re
from collections.abc import Iterator, Sequence

from serving.decoding.formats.tiff.directory import Directory, read_directory
from serving.decoding.sniff import Format, webp_size
from serving.decoding.undecodable import UndecodableError

MAX_PIXELS = 50_000_000
"""The most pixels of an image, for serving and training; SORTBOX_MAX_PIXELS changes the server's.
"""

MAX_SCAN_PIXELS = 600_000_000
"""The most scans x pixels of a JPEG, at 1 to 2 ns each. Programs write about ten scans."""

MAX_SCANS = 200
MAX_JPEG_SEGMENTS = 10_000
MAX_TIFF_SEGMENTS = 131_072
"""The most strips or tiles: one per row, for the tallest image in two planes."""

TIFF_OFFSET_TAGS = (273, 324)
TIFF_JPEG_COMPRESSIONS = (6, 7)
MAX_TIFF_SEGMENT_SCANS = 4
"""The most scans of a JPEG-compressed strip or tile: usually one, or one per component."""

MAX_WEBP_PIXELS = 27_000_000
"""The most pixels of a WebP: Pillow uses its decoder of animations, which takes 16 bytes a
pixel."""

MAX_HEIF_BOXES = 20_000
MAX_HEIF_DEPTH = 4
MAX_HEIF_REFERENCE_BYTES = 1_000_000
MAX_HEIF_WORK_FACTOR = 3
"""The most decoded pixels (tiles, alpha and their overlap), as a multiple of `max_pixels`."""

SOS, EOI = 0xDA, 0xD9
JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
"""A marker, except stuffed bytes and restart markers, which are part of a scan."""

JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE_MARKERS = frozenset((0x01, 0xD8))


def check(body: bytes, form: Format, max_pixels: int) -> None:
    """Raises UndecodableError (too_expensive) if decoding takes more work than any real image."""
    match form:
        case "jpeg":
            _check_jpeg(body)
        case "tiff":
            _check_tiff(body)
        case "heif":
            _check_heif(body, max_pixels)
        case "webp":
            _check_webp(body, max_pixels)
        case "bmp" | "png" | "gif":
            pass  # the cost depends on the pixels; their modules bound the number of parts


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises UndecodableError (too_many_pixels)."""
    if width * height > max_pixels:
        raise UndecodableError(
            "too_many_pixels",
            f"The image has {width} x {height} pixels; at most {max_pixels:,} are decoded.",
        )


def too_expensive(what: str) -> UndecodableError:
    return UndecodableError("too_expensive", f"The file takes too much work to decode: {what}.")


def estimate_jpeg_scans(body: bytes) -> int:
    """An upper bound of the number of scans; metadata that looks like a scan is counted too."""
    return body.count(b"\xff\xda")


def _check_jpeg(body: bytes) -> None:
    scans, pixels = count_scans_and_pixels(body)
    if scans > MAX_SCANS or scans * pixels > MAX_SCAN_PIXELS:
        raise too_expensive(f"{scans} scans of {pixels:,} pixels. Save it again with fewer scans")


def count_scans_and_pixels(body: bytes) -> tuple[int, int]:
    """The scans and pixels of a JPEG. Raises as `walk_jpeg`."""
    scans, pixels = 0, 0
    for marker, begin, _ in walk_jpeg(body):
        if marker == EOI:
            break
        if marker in JPEG_FRAME_MARKERS:
            height, width = body[begin + 5 : begin + 7], body[begin + 7 : begin + 9]
            pixels = max(pixels, int.from_bytes(height, "big") * int.from_bytes(width, "big"))
        scans += marker == SOS
    return scans, pixels


def walk_jpeg(body: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments of a JPEG as libjpeg finds them: the marker, and where each begins and ends.

    The data of a scan stand behind its segment. The last one may end beyond the file. Raises
    UndecodableError for too many.
    """
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        match = JPEG_MARKER.search(body, at)
        if match is None:
            return
        marker, at = match[1][0], match.end()
        if marker in STANDALONE_MARKERS:
            continue
        begin, at = at - 2, at + max(2, int.from_bytes(body[at : at + 2], "big"))
        yield marker, begin, at
    raise too_expensive(f"it has more than {MAX_JPEG_SEGMENTS:,} segments")


def _check_webp(body: bytes, max_pixels: int) -> None:
    size = webp_size(body) or (0, 0)
    check_size(*size, max_pixels)
    if size[0] * size[1] > MAX_WEBP_PIXELS:
        raise UndecodableError(
            "too_expensive",
            f"A WebP of {size[0]} x {size[1]} pixels takes too much memory to decode; at most "
            f"{MAX_WEBP_PIXELS:,} pixels are. Save it as JPEG or PNG and send that.",
        )


def _check_tiff(body: bytes) -> None:
    """Check the only directory that is decoded (TIFF 6.0, section 2; BigTIFF)."""
    directory = read_directory(body)
    counts = (directory.tags[tag].count for tag in TIFF_OFFSET_TAGS if tag in directory.tags)
    segments = max(counts, default=1)
    if segments > MAX_TIFF_SEGMENTS:
        raise too_expensive(f"it has {segments:,} strips or tiles")
    is_jpeg = directory.integer(259, 1) in TIFF_JPEG_COMPRESSIONS
    scans, pixels = estimate_jpeg_scans(body) if is_jpeg else 0, _count_pixels(directory)
    if scans > MAX_TIFF_SEGMENT_SCANS * segments and scans * pixels > MAX_SCAN_PIXELS:
        raise too_expensive(f"{scans} scans of {pixels:,} pixels")


def _count_pixels(directory: Directory) -> int:
    return directory.integer(256, 0) * directory.integer(257, 0)


def count_tiff_pixels(body: bytes) -> int:
    """Width x height of the image that is decoded. Raises UndecodableError for a bad directory."""
    return _count_pixels(read_directory(body))


def count_heif_pixels(body: bytes) -> int:
    """The pixels of all tiles and layers of the primary image (ISO/IEC 23008-12).

    Raises UndecodableError for too many boxes, and IndexError for a truncated file.
    """
    items = _HeifItems(body)
    return items.work(items.primary) + sum(items.work(item) for item in items.auxiliary)


def read_heif_codings(body: bytes) -> set[str]:
    """How the primary image of a HEIF file is coded: kinds of items ("hvc1", "grid", "jpeg").

    Empty if the file has none. "moov" stands for a sequence. Raises as `count_heif_pixels` does.
    """
    items = _HeifItems(body)
    return {kind.decode("latin-1") for kind in items.find_kinds(items.primary)}


def _check_heif(body: bytes, max_pixels: int) -> None:
    work = count_heif_pixels(body)
    if work > MAX_HEIF_WORK_FACTOR * max_pixels:
        raise too_expensive(f"its tiles and layers have {work:,} pixels")


class _HeifItems:
    """The items of the `meta` box: their sizes, and which ones are composed of others."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._boxes_left = MAX_HEIF_BOXES
        self._sizes: list[int] = []
        self._size_of: dict[int, int] = {}
        self._parts: dict[int, Sequence[int]] = {}
        self._work_of: dict[int, int] = {}
        self._kinds: dict[int, bytes] = {}
        self._has_sequence = False
        self.primary = 0
        self.auxiliary: list[int] = []
        for kind, start, end in self._boxes(0, len(body)):
            if kind == b"meta":
                self._read_meta(start + 4, end)
            self._has_sequence = self._has_sequence or kind == b"moov"

    def find_kinds(self, item: int) -> set[bytes]:
        """Of the item, and of those that it is made of."""
        if item not in self._kinds:
            return {b"moov"} if self._has_sequence else set()
        kinds, items = set[bytes](), {item}
        for _ in range(MAX_HEIF_DEPTH):
            kinds |= {self._kinds[part] for part in items if part in self._kinds}
            items = {part for whole in items for part in self._parts.get(whole, ())}
        return kinds

    def work(self, item: int, depth: int = 0) -> int:
        """The pixels that are decoded for an item; a tile counts as often as it is referenced."""
        if depth > MAX_HEIF_DEPTH:
            raise too_expensive("its images are made of each other")
        if item not in self._work_of:
            parts = self._parts.get(item)
            self._work_of[item] = (
                self._size_of.get(item, 0)
                if parts is None
                else sum(self.work(part, depth + 1) for part in parts)
            )
        return self._work_of[item]

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._body[at : at + size], "big")

    def _boxes(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        while at + 8 <= end:
            self._boxes_left -= 1
            if self._boxes_left < 0:
                raise too_expensive(f"it has more than {MAX_HEIF_BOXES:,} boxes")
            size, header = self._number(at, 4), 8
            if size == 1:
                size, header = self._number(at + 8, 8), 16
            stop = min(at + size, end) if size else end
            if stop < at + header:
                return
            yield self._body[at + 4 : at + 8], at + header, stop
            at = stop

    def _read_meta(self, start: int, end: int) -> None:
        for kind, at, stop in self._boxes(start, end):
            match kind:
                case b"pitm":
                    self.primary = self._number(at + 4, 4 if self._body[at] else 2)
                case b"iinf":
                    self._read_kinds(at, stop)
                case b"iref":
                    self._read_references(at, stop)
                case b"iprp":
                    self._read_properties(at, stop)

    def _read_kinds(self, start: int, end: int) -> None:
        first = start + (8 if self._body[start] else 6)
        for _, at, _ in self._boxes(first, end):
            id_size = 4 if self._body[at] >= 3 else 2
            kind_at = at + 4 + id_size + 2
            self._kinds[self._number(at + 4, id_size)] = self._body[kind_at : kind_at + 4]

    def _read_references(self, start: int, end: int) -> None:
        if end - start > MAX_HEIF_REFERENCE_BYTES:
            raise too_expensive("it has too many references")
        size = 4 if self._body[start : start + 1] == b"\1" else 2
        for kind, at, stop in self._boxes(start + 4, end):
            item, count = self._number(at, size), self._number(at + size, 2)
            first = at + size + 2
            parts = range(first, min(first + count * size, stop), size)
            if kind == b"dimg":
                self._parts[item] = [self._number(part, size) for part in parts]
            elif kind == b"auxl":
                self.auxiliary.append(item)

    def _read_properties(self, start: int, end: int) -> None:
        for kind, at, stop in self._boxes(start, end):
            if kind == b"ipco":
                self._sizes = [
                    self._number(at + 4, 4) * self._number(at + 8, 4) if name == b"ispe" else 0
                    for name, at, _ in self._boxes(at, stop)
                ]
            elif kind == b"ipma":
                self._read_associations(at, stop)

    def _read_associations(self, at: int, end: int) -> None:
        wide, long = bool(self._body[at] & 0xFF), bool(self._number(at + 1, 3) & 1)
        id_size, index_size = 4 if wide else 2, 2 if long else 1
        entries = self._number(at + 4, 4)
        at += 8
        for _ in range(min(entries, MAX_HEIF_BOXES)):
            if at >= end:
                return
            item, count = self._number(at, id_size), self._number(at + id_size, 1)
            at += id_size + 1
            for index in range(at, min(at + count * index_size, end), index_size):
                property_ = self._number(index, index_size) & (0x7FFF if long else 0x7F)
                if 0 < property_ <= len(self._sizes):
                    self._size_of[item] = max(
                        self._size_of.get(item, 0), self._sizes[property_ - 1]
                    )
            at += count * index_size
