"""Mistakes in what the server takes: arrays, packed files, colour profiles."""

from tests.faults.mistakes.product import UNIT, Mistake

OF_THE_INPUTS = (
    Mistake(
        "one value of an array decides the range of all",
        "serving/decoding/arrays.py",
        '    white = RANGES.get(images.dtype.newbyteorder("="), 1)\n',
        '    white = RANGES.get(images.dtype.newbyteorder("="), 1 if images.max() <= 1 else 255)\n',
        f"{UNIT}/serving/decoding/test_arrays.py",
    ),
    Mistake(
        "an array of several images is answered where one answer is due",
        "serving/app.py",
        '        if isinstance(scored, list) and content == "image":\n',
        '        if isinstance(scored, list) and content == "array":\n',
        f"{UNIT}/serving/test_app.py",
    ),
    Mistake(
        "a packed file may unpack to any size",
        "serving/decoding/gzipped.py",
        "max_bytes + 1 - unpacked.tell()",
        "0",
        f"{UNIT}/serving/decoding/test_gzipped.py::test_a_bomb_is_not_unpacked_whole",
    ),
)
