"""Environments as they are installed: what is deleted for a laptop comes back for training."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from infra.setup import environments
from infra.setup.trim import Unused
from tests.support.builders.wheels import registry, wheel

UNUSED = Unused("sample", "a test", ("sample_data/",))


def test_what_was_deleted_is_installed_again_where_all_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with TemporaryDirectory(dir=environments.LOCAL) as made:
        served, lock, whole = (Path(made, name) for name in ("served", "lock.txt", "whole.txt"))
        served.mkdir()
        for name, value in registry(served, Path(made, "cache")).items():
            monkeypatch.setenv(name, value)
        path = served / "sample-1.0-py3-none-any.whl"
        promised = wheel(path, "here = True", {"sample_data/large.txt": "large"})
        for each in (lock, whole):
            each.write_text(f"# {each.name}\nsample==1.0 --hash=sha256:{promised}\n")
        environment = Path(made, "environment")

        def data() -> list[Path]:
            return list(environment.rglob("large.txt"))

        environments.python_environment(environment, lock, [UNUSED])
        assert list(environment.rglob("sample.py"))
        assert not data()
        environments.python_environment(environment, whole)
        assert data(), "training would miss what a laptop has no use for"
        environments.python_environment(environment, lock, [UNUSED])
        assert not data()
        environments.python_environment(environment, lock, [Unused("sample", "other rules", ())])
        assert data(), "rules that keep more than those before them have to find it"


def test_the_lock_without_cuda_lacks_nothing_else() -> None:
    lock = environments.TRAINING.read_text()
    left = environments.without_cuda(lock)

    def names(text: str) -> set[str]:
        return {line.partition("==")[0] for line in text.splitlines() if line[:1].isalnum()}

    gone = names(lock) - names(left)
    assert {"torch", "torchvision", "triton"} <= gone
    assert all(each.startswith(("nvidia-", "cuda-", "torch", "triton")) for each in gone)
    assert "nvidia-ml-py" in names(left), "training imports it wherever it runs"
    assert left.count("--hash=") == lock.count("--hash=") - sum(
        requirement.count("--hash=")
        for requirement in lock.replace("\\\n", " ").splitlines()
        if requirement.partition("==")[0] in gone
    )


def test_the_builds_without_cuda_are_of_the_versions_that_the_lock_names() -> None:
    lock = environments.TRAINING.read_text().splitlines()
    pins = [line for line in environments.TORCH_CPU.read_text().splitlines() if "==" in line]
    assert pins
    for pin in pins:
        assert any(line.startswith(pin.split(" ")[0]) for line in lock), pin
