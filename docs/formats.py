"""The reference of image formats: what is decoded, from the variants that the tests try."""

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from docs.tables import table
from serving.decoding.formats.foreign import (
    ADVICE,
    MAGIC,
    OLE_CONTENTS,
    RAW,
    ZIP_CONTENTS,
    Kind,
)
from serving.decoding.sniff import ISO_MEDIA, Format
from tests.unit.serving.decoding.variants.every import VARIANTS
from tests.unit.serving.decoding.variants.variant import Variant

NAMES: dict[Format, str] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "heif": "HEIF",
}

WITHOUT_MAGIC = ("a Netpbm image", "an SGI image", "a PCX image", "a Windows DIB", "a TGA image")
UNSUPPORTED, HEAD = "unsupported_format", ("tried", "equal", "not supported", "damaged")

INTRODUCTION = """\
# Image formats

The format of a file is recognised by its bytes, never by its name or content type. Of an
animation the first frame counts, of several pictures the first or the primary one. Pixels are
turned as EXIF says, transparency is blended with white, 16 bits are scaled to 8, and a colour
profile is converted to sRGB where it matters. Metadata never decides against whole pixels: texts,
resolutions, EXIF and profiles may be long, short or broken.

The tests write each variant of each format from known pixels, with writers of their own, and
compare what the server sees with them. What differs would be a wrong answer with a high score; so
a variant that no test compares is refused by name, as `unsupported_format`. `truncated` and
`corrupt` say that a file is damaged.

"""

OTHERS = """
## Formats that are not decoded

They are recognised, and the rejection says what the file is and what to do. Camera raw files are
recognised in whatever they hide (TIFF, ISO media or formats of their own), because the preview in
them is not the photograph.

"""


def page() -> str:
    totals = [
        (f"[{NAMES[image_format]}](#{image_format})", *_figures(_of(image_format)))
        for image_format in get_args(Format)
    ]
    text = INTRODUCTION + table(("format", *HEAD), [*totals, ("all", *_figures(VARIANTS))])
    for image_format in get_args(Format):
        families: dict[str, list[Variant]] = {}
        for variant in _of(image_format):
            families.setdefault(variant.family, []).append(variant)
        rows = [(family, *_figures(variants)) for family, variants in families.items()]
        text += f"\n## {NAMES[image_format]}\n\n" + table(("variants", *HEAD), rows)
    return text + OTHERS + table(("what to do", "formats"), _others())


def _of(image_format: Format) -> list[Variant]:
    return [variant for variant in VARIANTS if variant.format == image_format]


def _figures(variants: Iterable[Variant]) -> tuple[str, ...]:
    counts = Counter(
        "equal" if not isinstance(variant.expected, str)
        else "not supported" if variant.expected == UNSUPPORTED
        else "damaged"
        for variant in variants
    )  # fmt: skip
    return tuple(f"{number:,}" for number in (counts.total(), *(counts[name] for name in HEAD[1:])))


def _others() -> list[tuple[str, str]]:
    """Each kind's advice, and the names of its formats."""
    names: dict[Kind, list[str]] = {kind: [] for kind in get_args(Kind)}
    for kind, entries in MAGIC.items():
        names[kind] += [name for _, _, name in entries]
    members = [form for _, form in (*ZIP_CONTENTS, *OLE_CONTENTS)]
    for form in (*ISO_MEDIA.values(), *members):
        names[form.kind].append(form.name)
    names["raw"].append(f"{RAW} that is a TIFF (DNG, CR2, IIQ, NEF, ARW, PEF, SRW and others)")
    names["image"] += ["an AVIF image", "an SVG drawing", *WITHOUT_MAGIC]
    names["archive"].append("a ZIP archive")
    names["other"] += ["a web page (HTML)", "an XML document", "a text file"]
    return [
        (
            ADVICE.get(kind, "It is no image: `not_an_image`."),
            "; ".join(sorted(set(names[kind]), key=_without_article)),
        )
        for kind in names
    ]


def _without_article(name: str) -> str:
    return name.partition(" ")[2].lower()
