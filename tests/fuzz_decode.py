"""Coverage-guided fuzz of the decode road: `make fuzz`, in an environment with atheris.

Any end of `decode` but a picture or Undecodable is a crash, which atheris reports with the bytes
that brought it about. What it starts from are the hostile images that the tests make.
"""

import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "serving"]):
    from serving.decoding.decode import decode
    from serving.decoding.undecodable import UndecodableError

PIXELS = 1_000_000
"""Fewer than in production: time is better spent on more files than on larger ones."""


def one(body: bytes) -> None:
    try:
        decode(body, PIXELS, 256)
    except UndecodableError:
        return


def main(corpus: str) -> None:
    from tests.support.builders import images

    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (body, _) in enumerate(images.hostile().values()):
        (folder / f"seed-{number}").write_bytes(body)
    warnings.simplefilter("ignore")
    atheris.Setup([sys.argv[0], str(folder), *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1])
