"""What commands print."""

import os
import subprocess
import sys

from infra.shipped import REPOSITORY

PRINTS_A_TABLE = """
from cli.output import say_table
try:
    say_table("Folders", [{"folder": "trip/", "images": 40}] * 10_000)
except BrokenPipeError:
    raise SystemExit(7)
"""


def test_a_table_to_a_reader_that_has_gone_ends_as_every_other_output() -> None:
    """`./sortbox ls | head`: rich would end the program with 1, where a closed pipe is no
    failure."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", PRINTS_A_TABLE],
        cwd=REPOSITORY,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 7
