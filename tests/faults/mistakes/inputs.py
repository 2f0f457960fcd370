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
    Mistake(
        "a profile of printing machines is not looked at",
        "serving/decoding/profiles/srgb.py",
        '    return icc.colour_space(profile) == b"CMYK" and ',
        "    return not profile and ",
        f"{UNIT}/serving/decoding/profiles/test_srgb.py",
    ),
    Mistake(
        "LittleCMS reads a stranger's profile in the server's own threads",
        "serving/decoding/jpeg.py",
        " or srgb.matters(header.profile):",
        ":",
        f"{UNIT}/serving/decoding/profiles/test_srgb.py",
    ),
    Mistake(
        "a profile that makes white black is believed",
        "serving/decoding/profiles/srgb.py",
        "    return transform if white.min() >= MIN_WHITE and black.max() <= MAX_BLACK else None\n",
        "    return transform\n",
        f"{UNIT}/serving/decoding/profiles/test_srgb.py",
    ),
    Mistake(
        "a picture is converted before it is reduced",
        "serving/decoding/profiles/srgb.py",
        "    if factor > 1:\n",
        "    if not factor:\n",
        f"{UNIT}/serving/decoding/profiles/test_srgb.py",
    ),
    Mistake(
        "a gamma of 2.2 is taken for sRGB's curve",
        "serving/decoding/profiles/icc.py",
        "MAX_LEVELS_OFF = 3\n",
        "MAX_LEVELS_OFF = 10\n",
        f"{UNIT}/serving/decoding/profiles/test_icc.py",
    ),
    Mistake(
        "a raw file is classified by its preview",
        "serving/decoding/formats/raw.py",
        "        offsets += directory.get(SUB_DIRECTORIES, [])\n",
        "",
        f"{UNIT}/serving/decoding/formats/test_raw.py",
    ),
    Mistake(
        "a Word document is called a ZIP archive",
        "serving/decoding/formats/foreign.py",
        "if name in start or name in end",
        "if name in start[:64]",
        f"{UNIT}/serving/decoding/formats/test_foreign.py",
    ),
    Mistake(
        "white is black in a TIFF whose white is zero",
        "serving/decoding/formats/tiff/photometric.py",
        "            return np.asarray(~colours)\n",
        "            return np.asarray(colours)\n",
        f"{UNIT}/serving/decoding/variants/test_variants.py",
    ),
    Mistake(
        "an 8-bit colour map of a TIFF is taken for one of 16 bits",
        "serving/decoding/formats/tiff/photometric.py",
        "table >> (8 if table.max() > 255 else 0)",
        "table >> 8",
        f"{UNIT}/serving/decoding/variants/test_variants.py",
    ),
    Mistake(
        "a run of a BMP goes on in the next row",
        "serving/decoding/formats/bmp_rle.py",
        "min(len(step), width - column)",
        "len(step)",
        f"{UNIT}/serving/decoding/variants/test_variants.py",
    ),
    Mistake(
        "a step that batch normalisation cannot take is found out by taking it",
        "training/model/networks.py",
        "torch.zeros(min(max(images, 1), 2), 3, side, side)",
        "torch.zeros(2, 3, side, side)",
        f"{UNIT}/training/model/test_networks.py",
    ),
)
