"""What is installed is named by its hash wherever it is installed, and no file says from where."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra.setup import environments
from tests.support.builders.wheels import registry, wheel

REPOSITORY = Path(__file__).parents[4]
UNREACHED = "infra/container/torch-cpu"
"""PyTorch's own index has the builds without CUDA, and `make lock` cannot count on reaching it."""

INSTALLS = re.compile(r"\bpip\b[\"',\s]+(install|sync)\b")
ADDRESS = re.compile(
    r"--(extra-)?index-url|--default-index|--find-links|\[\[?tool\.uv\.(index|pip)|"
    r"\bindex-url\b|pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org|"
    r"download\.pytorch\.org",
)
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository; without git (in a copy), every file that is not built."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and "pyproject.toml" in listed.stdout.splitlines():
        return tuple(name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file())
    built = {".venv", ".local", "node_modules", "build"}
    paths = (path for path in REPOSITORY.rglob("*") if path.is_file())
    names = (path.relative_to(REPOSITORY) for path in paths)
    return tuple(name.as_posix() for name in names if not built & set(name.parts))


def wishes() -> list[str]:
    return sorted(name.removesuffix(".in") for name in tracked() if name.endswith(".in"))


def requirements(lock: str) -> Iterator[str]:
    """One a requirement, continued lines joined and comments dropped."""
    text = (REPOSITORY / f"{lock}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            yield requirement


def pins(lock: str) -> dict[str, set[str]]:
    """The versions of each package; more than one where Pythons differ."""
    found: dict[str, set[str]] = {}
    for requirement in requirements(lock):
        name, version = re.split(r"==|[ ;]", requirement)[:2]
        found.setdefault(name, set()).add(version)
    return found


def test_every_wish_has_its_lock() -> None:
    assert {"requirements", "infra/tools/uv", "infra/container/gpu"} <= set(wishes())
    missing = [wish for wish in wishes() if not (REPOSITORY / f"{wish}.txt").is_file()]
    assert not missing, "what has no lock is whatever is newest on the day it is installed"


@pytest.mark.parametrize("lock", wishes())
def test_every_requirement_is_an_exact_version_with_a_hash(lock: str) -> None:
    found = list(requirements(lock))
    assert found
    assert not [each for each in found if not re.match(r"[a-z0-9._-]+==[^ ]+", each)]
    if lock != UNREACHED:
        bare = [each for each in found if not SHA256.search(each)]
        assert not bare, "a registry, or a proxy before it, could exchange what has no hash"


def native() -> Iterator[Distribution]:
    """What is compiled: it comes as a file for each architecture and, mostly, each Python."""
    for found in distributions(path=[path for path in sys.path if "site-packages" in path]):
        if "Root-Is-Purelib: false" in (found.read_text("WHEEL") or ""):
            yield found


def test_the_lock_knows_the_files_of_the_other_architecture_too() -> None:
    hashes = {
        each.partition("==")[0]: len(SHA256.findall(each)) for each in requirements("requirements")
    }
    names = {re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower() for each in native()}
    assert {"numpy", "pillow", "torch"} <= names
    one = sorted(name for name in names if hashes.get(name, 2) < 2)
    assert not one, "a lock made for one machine is refused on every other"


def test_the_images_versions_are_those_that_are_tested_here() -> None:
    ours = pins("requirements")
    for variant in (*(f"infra/container/{name}" for name in ("serve", "cpu", "gpu")), UNREACHED):
        others = {
            name: version
            for name, version in pins(variant).items()
            if not version <= ours.get(name, set())
        }
        assert not others, f"{variant}: what serves is not what was tested"


def test_the_image_without_cuda_takes_nothing_of_it() -> None:
    cpu = pins("infra/container/cpu")
    assert not [name for name in cpu if name.startswith(("nvidia-", "cuda-", "torch", "triton"))]
    left_out = set(pins("infra/container/gpu")) - set(cpu)
    of_cuda = ("nvidia-", "cuda-", "triton")
    assert {name for name in left_out if not name.startswith(of_cuda)} == set(pins(UNREACHED))


def test_whoever_installs_asks_for_hashes() -> None:
    doors = [
        "Makefile",
        "infra/container/Dockerfile",
        "infra/setup/environments.py",
        "infra/stacks/image.yml",
    ]
    asking, bare = 0, []
    for name in tracked():
        if name not in doors and not name.endswith((".py", ".yml", ".sh", ".toml")):
            continue
        if name.startswith("tests/"):
            continue
        text = (REPOSITORY / name).read_text().replace("\\\n", " ")
        for found in INSTALLS.finditer(text):
            command = re.split(r"&&|;|\n", text[found.start() :])[0]
            asking += "--require-hashes" in command
            if "--require-hashes" not in command and "torch-cpu.txt" not in command:
                bare.append(f"{name}: {command}")
    assert not bare, "an install that asks for no hashes takes whatever it is given"
    assert asking >= 6, "uv, Python's environments, Node, the image, atheris and the benches"


def test_no_file_says_where_packages_come_from() -> None:
    kinds = (".in", ".txt", ".toml", ".json", ".yml", ".sh", "Makefile", "Dockerfile", "rc")
    offenders = [
        f"{name}: {found.group()}"
        for name in tracked()
        if name.endswith(kinds) and not name.startswith(("docs/", "tests/"))
        for found in [ADDRESS.search((REPOSITORY / name).read_text())]
        if found
    ]
    assert not offenders, "whoever builds says which registry or mirror; a file here must not"


def test_nodes_packages_have_their_hashes_and_no_address() -> None:
    lock = json.loads((REPOSITORY / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > 100
    bare = [
        name
        for name, each in packages.items()
        if not re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", each.get("integrity", ""))
    ]
    assert not bare, "npm checks what has a hash"
    assert not [name for name, each in packages.items() if "resolved" in each or each.get("link")]
    node = (REPOSITORY / "infra" / "setup" / "environments.py").read_text()
    assert re.search(r'"ci", .*"--ignore-scripts"', node), "no package's own script runs here"


def test_the_base_of_the_image_is_named_by_its_digest_where_it_is_built() -> None:
    base = (REPOSITORY / "infra" / "container" / "base").read_text().strip()
    tag, _, digest = base.partition("@")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest), "a tag can be moved"
    dockerfile = (REPOSITORY / "infra" / "container" / "Dockerfile").read_text()
    assert f"ARG BASE={tag}\n" in dockerfile
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.M))
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) - stages == {"${BASE}"}
    template = (REPOSITORY / "infra" / "stacks" / "image.yml").read_text()
    assert 'base="$(cat infra/container/base)"' in template
    assert '"BASE=$base"' in template


def test_a_file_that_was_exchanged_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By uv itself, from a folder in place of a registry."""
    with tempfile.TemporaryDirectory(dir=environments.LOCAL) as made:
        served, lock = Path(made, "served"), Path(made, "lock.txt")
        served.mkdir()
        for name, value in registry(served, Path(made, "cache")).items():
            monkeypatch.setenv(name, value)
        promised = wheel(served / "sample-1.0-py3-none-any.whl", "meant = True")
        lock.write_text(f"sample==1.0 --hash=sha256:{promised}\n")
        environments.python_environment(Path(made, "good"), lock)
        assert list(Path(made, "good").rglob("sample.py"))
        wheel(served / "sample-1.0-py3-none-any.whl", "meant = False")
        monkeypatch.setenv("UV_CACHE_DIR", str(Path(made, "another")))
        with pytest.raises(subprocess.CalledProcessError):
            environments.python_environment(Path(made, "bad"), lock)
        assert not list(Path(made, "bad").rglob("sample.py"))
        lock.write_text("sample==1.0\n")
        with pytest.raises(subprocess.CalledProcessError):
            environments.python_environment(Path(made, "unhashed"), lock)


def pins_on(python: str, lock: str) -> dict[str, str]:
    """What the lock pins for one Python, on Linux."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    found = (Requirement(each.partition("--hash")[0]) for each in requirements(lock))
    return {
        each.name: str(each.specifier)
        for each in found
        if each.marker is None or each.marker.evaluate(here)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_the_laptops_environment_is_a_part_of_the_whole_one(python: str) -> None:
    """Training adds packages to an environment that is in use: what is there must stay as it is."""
    laptop, whole = pins_on(python, "infra/tools/laptop"), pins_on(python, "requirements")
    assert not {name: version for name, version in laptop.items() if version != whole.get(name)}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_laptops_environment_brings_nothing_of_training(python: str) -> None:
    heavy = {"torch", "torchvision", "nncf", "sagemaker", "smdebug", "pandas", "scipy", "triton"}
    names = pins_on(python, "infra/tools/laptop")
    assert "openvino" in names
    found = [name for name in names if name in heavy or "nvidia" in name]
    assert not found, "the demo would download gigabytes that it never uses"
