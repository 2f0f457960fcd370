"""Delete files of installed packages that Sortbox never reads, after their hashes were verified.

A laptop that classifies images and deploys stages needs no GPU plugin, no converter of other
frameworks' models, no client definitions of 400 services, and no debug symbols. Each rule states
its reason. In the environment for training and tests only symbols are removed: deleted files are
reinstalled first.

A new version of a package may move its files. Then either a rule matches nothing, which a test
detects, or it deletes a file that is needed, which `make bench-install` detects: it builds the
environment from scratch and runs the demo in it.

Standard library only, because it runs before anything is installed.
"""

import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unused:
    """Files of a package, as globs below site-packages (or node_modules), and exceptions to
    keep.
    """

    package: str
    because: str
    files: tuple[str, ...]
    keep: tuple[str, ...] = ()

    def matches(self, root: Path) -> Iterator[Path]:
        """Files and folders below `root` that match, except those to keep."""
        kept = {path for pattern in self.keep for path in root.glob(pattern)}
        for pattern in self.files:
            yield from (path for path in sorted(root.glob(pattern)) if path not in kept)


SERVICES = (
    *(
        "cloudformation",
        "cloudwatch",
        "codebuild",
        "ecr",
        "events",
        "iam",
        "kms",
        "lambda",
        "logs",
        "pricing",
        "s3",
    ),
    *("sagemaker", "sagemaker-runtime", "scheduler", "service-quotas", "sqs", "sts"),
    *("signin", "sso", "sso-oidc"),
)
"""AWS services that Sortbox calls; the last line has the services for signing in."""

FRAMEWORKS = ("jax", "onnx", "paddle", "pytorch", "tensorflow")
LIBRARIES_OF_FRAMEWORKS = (*FRAMEWORKS, "gguf", "tensorflow_lite")

PHOTOGRAPHS = (
    *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
"""The images of scikit-image that the demo uses."""

BOTOCORE = Unused(
    "botocore",
    "interfaces of services that Sortbox does not call",
    ("botocore/data/*/",),
    keep=tuple(f"botocore/data/{service}/" for service in SERVICES),
)
EMULATOR = (BOTOCORE,)
LAPTOP = (
    BOTOCORE,
    Unused(
        "openvino",
        "plugins for GPUs and NPUs (models run on the CPU), and compiled kernels for them",
        ("openvino/libs/*intel_[gn]pu_plugin*", "openvino/libs/cache.json"),
    ),
    Unused(
        "openvino",
        "readers of other frameworks' models; an archive holds OpenVINO's own format",
        (
            *(f"openvino/libs/*openvino_{name}_frontend*" for name in LIBRARIES_OF_FRAMEWORKS),
            *(f"openvino/frontend/{name}/" for name in FRAMEWORKS),
        ),
    ),
    Unused(
        "openvino",
        "what C++ is compiled against, and types",
        ("openvino/include/", "openvino/**/*.pyi"),
    ),
    Unused(
        "scikit-image",
        "code; the demo takes its photographs alone",
        ("skimage/*", "skimage/data/*"),
        keep=("skimage/data/", *(f"skimage/data/{name}" for name in PHOTOGRAPHS)),
    ),
    Unused(
        "numpy",
        "tests, types, and what C is compiled against",
        ("numpy/tests/", "numpy/*/tests/", "numpy/_core/include/", "numpy/**/*.pyi"),
    ),
)
OSLS = (
    Unused(
        "@aws-sdk",
        "the same code for browsers, and types; Node loads dist-cjs",
        ("@*/*/dist-es/", "@*/*/dist-types/"),
    ),
    Unused("esbuild", "compiles a serverless.ts; ours is YAML", ("@esbuild/*/bin/",)),
    Unused("*", "types, and what maps code to its source", ("**/*.d.ts", "**/*.map")),
)


def trim(root: Path, rules: Sequence[Unused]) -> None:
    """Delete the files that the rules match below `root`, a site-packages or node_modules
    folder.
    """
    for rule in rules:
        for path in list(rule.matches(root)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


LEAST = 64 * 1024
"""Libraries with fewer bytes of symbols are left unchanged."""


def strip_libraries(root: Path) -> None:
    """Remove the symbols of every ELF library below `root`; only debuggers read them."""
    for path in root.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            strip(path)


def strip(path: Path) -> None:
    """Rewrite a program or library without its symbols, as `strip` does.

    It is written to a new file: uv hard-links files from its cache, so other environments may share
    it.
    """
    size = path.stat().st_size
    if size < LEAST:
        return
    with path.open("rb") as file:
        header = file.read(ELF_HEADER.size)
        end = _end_of_program(file.fileno(), header, size)
        if end is None or size - end < LEAST:
            return
        file.seek(0)
        content = bytearray(file.read(end))
    content[SECTIONS_OFFSET] = bytes(8)
    content[SECTIONS_NUMBERS] = bytes(4)
    stripped = path.with_name(f"{path.name}.stripped")
    stripped.write_bytes(content)
    stripped.chmod(path.stat().st_mode)
    stripped.replace(path)


ELF_HEADER = struct.Struct("<6s10x16xQQ6xHHHHH")
"""Magic number with class and byte order; offsets of the segment and section tables; their
counts."""

PROGRAM = struct.Struct("<4x4xQ16xQ16x")
"""A segment's offset and size in the file."""

SECTIONS_OFFSET, SECTIONS_NUMBERS = slice(0x28, 0x30), slice(0x3C, 0x40)
ELF_64_LITTLE = b"\x7fELF\x02\x01"


def _end_of_program(file: int, header: bytes, size: int) -> int | None:
    """The end of the last segment, which is the last part that is loaded; None if it is not a
    64-bit ELF file.
    """
    if len(header) < ELF_HEADER.size:
        return None
    magic, segments, _, segment_bytes, number, *_ = ELF_HEADER.unpack(header)
    if magic != ELF_64_LITTLE or segment_bytes != PROGRAM.size:
        return None
    table = os.pread(file, segment_bytes * number, segments)
    if len(table) < segment_bytes * number:
        return None
    ends = [begin + length for begin, length in PROGRAM.iter_unpack(table)]
    end = max([segments + segment_bytes * number, *ends])
    return end if end <= size else None
