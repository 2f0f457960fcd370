"""217 files that broke image libraries, or tried to; beside the repository, where there are any.

The set that `tests.support.builders.images` makes keeps the same promises alive where the corpus
is absent.
"""

import csv
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from domain.reply import from_json
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError
from tests.support.builders import images
from tests.support.worlds.serving_process import Serving

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
MAX_PIXELS = 50_000_000
MEMORY_MB = 500
SIDEWAYS = {"5", "6", "7", "8"}
WHOLE_PIXELS = {
    "imagepng/issue_430.png": "png 568x153",
    "made/png_ztxt_bomb.png": "png 8x8",
    "pillow/png_decompression_dos.png": "png 1x1",
    "pillow/unknown_compression_method.png": "png 57x57",
}
"""Rejected by the index, for metadata that Pillow cannot read. Their pixels are whole, and metadata
is not handed to a decoder."""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


@dataclass(frozen=True)
class Row:
    file: str
    decodes: bool
    firm: bool
    format: str
    size: str
    orientation: str

    def read(self) -> bytes:
        return (CORPUS / "files" / self.file).read_bytes()


def rows() -> list[Row]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "index.tsv").open(newline="") as stream:
        return [
            Row(
                file=row["file"],
                decodes=row["expected"] == "decodes",
                firm=row["firmness"] != "decoder-dependent",
                format=row["format"].lower().replace("mpo", "jpeg"),
                size=row["size"],
                orientation=row["exif_orientation"],
            )
            for row in csv.DictReader(stream, delimiter="\t")
        ]


ROWS = rows()
needs_corpus = pytest.mark.skipif(
    not ROWS, reason="the corpus of odd files is not beside the repository"
)


def verdict(body: bytes) -> str:
    try:
        seen = decode(body, MAX_PIXELS, 512)
    except UndecodableError as refusal:
        return refusal.code
    return f"{seen.format} {seen.width}x{seen.height}"


def decodes(row: Row) -> bool:
    return row.decodes or row.file in WHOLE_PIXELS


@needs_corpus
@pytest.mark.parametrize("row", [row for row in ROWS if row.firm], ids=lambda row: row.file)
def test_a_file_of_the_corpus_is_judged_as_expected(row: Row) -> None:
    if row.file in WHOLE_PIXELS:
        assert verdict(row.read()) == WHOLE_PIXELS[row.file]
        return
    if not row.decodes:
        with pytest.raises(UndecodableError):
            decode(row.read(), MAX_PIXELS, 512)
        return
    width, height = row.size.split("x")
    turned = row.orientation in SIDEWAYS and row.format != "tiff"  # Pillow has turned that one
    upright = f"{height}x{width}" if turned else row.size
    assert verdict(row.read()) == f"{row.format} {upright}"


def judge(bodies: list[bytes]) -> tuple[int, int]:
    """How many were judged, and the megabytes that the process ever held.

    From /proc, because getrusage's peak is inherited from the parent.
    """
    warnings.simplefilter("ignore")
    judged = sum(1 for body in bodies if verdict(body))
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return judged, int(status["VmHWM"].split()[0]) // 1024


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param([body for body, _ in images.hostile().values()], id="made here"),
        pytest.param([row.read() for row in ROWS], id="corpus", marks=needs_corpus),
    ],
)
def test_no_file_crashes_hangs_or_takes_much_memory(bodies: list[bytes]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as child:
        judged, megabytes = child.submit(judge, bodies).result(timeout=120)
    assert judged == len(bodies)
    assert megabytes < MEMORY_MB


@needs_corpus
def test_the_server_answers_the_whole_corpus_and_never_by_5xx(server: Serving) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        answers = {row: client.post("/invocations", content=row.read()) for row in ROWS}
    surprises = [
        (row.file, answer.status_code)
        for row, answer in answers.items()
        if answer.status_code not in (200, 400)
        or (row.firm and decodes(row) is not (answer.status_code == 200))
    ]
    assert surprises == []
    assert all(from_json(answer.content) for answer in answers.values())
