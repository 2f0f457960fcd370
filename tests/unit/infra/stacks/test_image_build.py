"""The build on CodeBuild, its commands run by bash with stand-ins, and the image that it pushed."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.stacks.image import DOCKER_MANIFEST, TEMPLATE, ImageError, find
from infra.stacks.image import REPOSITORY as NAME
from tests.support.builders.packaged import of_type, plain
from tests.support.fakes.aws import error

REPOSITORY = Path(__file__).parents[4]
URI = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/{NAME}"
MIRROR = "public.ecr.aws/docker/library/"
BASE = (REPOSITORY / "infra" / "container" / "base").read_text().strip()
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
    "docker pull"*) exit "${PULL:-0}" ;;
    "docker push"*) exit "${PUSH:-0}" ;;
    "aws ecr batch-get-image"*) echo "${THERE:-0}" ;;
esac
"""


def commands() -> list[str]:
    (project,) = of_type(plain(TEMPLATE), "AWS::CodeBuild::Project").values()
    phases = yaml.safe_load(project["Source"]["BuildSpec"])["phases"]
    return [command for phase in ("pre_build", "build") for command in phases[phase]["commands"]]


@dataclass(frozen=True)
class Build:
    status: int
    calls: tuple[str, ...]
    said: str

    def call(self, start: str) -> str:
        [call] = [call for call in self.calls if call.startswith(start)]
        return call


def build(folder: Path, variant: str = "serve", **outcome: str) -> Build:
    """As CodeBuild does: one shell for all commands, and the first that fails is the last."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("docker", "aws"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "CALLS": str(folder / "calls"),
        "REPOSITORY": URI,
        "VARIANT": variant,
        "TAG": f"{variant}-0123456789ab",
        **outcome,
    }
    script = "\n".join(f"{command.rstrip()}\n[ $? = 0 ] || exit 1" for command in commands())
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    calls = (folder / "calls").read_text().splitlines()
    return Build(done.returncode, tuple(calls), done.stdout + done.stderr)


def test_an_image_is_built_without_attestations_and_pushed(tmp_path: Path) -> None:
    """An attestation makes an OCI index of the image, which SageMaker refuses."""
    done = build(tmp_path)
    assert done.status == 0, done.said
    built = done.call("docker build")
    assert "--provenance=false --sbom=false" in built
    assert f"--build-arg BASE={BASE} " in built
    assert "--target serving" in built
    assert done.calls[-1] == f"docker push {URI}:serve-0123456789ab"


def test_the_base_comes_from_aws_mirror_by_digest_and_else_from_docker_hub(tmp_path: Path) -> None:
    """Docker Hub limits pulls by address, and CodeBuild's addresses are shared."""
    assert BASE.startswith(MIRROR)
    done = build(tmp_path, PULL="1")
    assert done.status == 0, done.said
    assert f"--build-arg BASE={BASE.removeprefix(MIRROR)} " in done.call("docker build")


def test_an_image_for_gpus_without_cuda_ends_the_build(tmp_path: Path) -> None:
    assert "assert torch.version.cuda" in build(tmp_path, "gpu").call("docker run")


def test_a_tag_that_another_build_has_pushed_is_no_failure(tmp_path: Path) -> None:
    """Tags are immutable: ECR refuses the second push (ImageTagAlreadyExistsException)."""
    done = build(tmp_path, PUSH="1", THERE="1")
    assert done.status == 0, done.said
    assert "is there already" in done.said
    command = f"aws ecr batch-get-image --repository-name {NAME} --image-ids imageTag=serve-"
    assert done.calls[-1].startswith(command)


def test_a_push_that_failed_for_another_reason_is_a_failure(tmp_path: Path) -> None:
    assert build(tmp_path, PUSH="1", THERE="0").status == 1


@dataclass
class Ecr:
    """One image, with this manifest; None: no image."""

    manifest: str | None

    def describe_images(self, **_: Any) -> dict[str, Any]:
        if self.manifest is None:
            raise error("DescribeImages", 400, "ImageNotFoundException")
        detail = {"imageDigest": "sha256:1", "imageManifestMediaType": self.manifest}
        return {"imageDetails": [detail]}

    def describe_repositories(self, **_: Any) -> dict[str, Any]:
        return {"repositories": [{"repositoryUri": URI}]}


def test_an_image_is_named_by_its_digest() -> None:
    ecr: Any = Ecr(DOCKER_MANIFEST)
    assert find(ecr, "serve-1") == f"{URI}@sha256:1"
    absent: Any = Ecr(None)
    assert find(absent, "serve-1") is None


@pytest.mark.parametrize(
    "manifest",
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"],
)
def test_an_image_that_sagemaker_refuses_is_a_sentence_with_the_cure(manifest: str) -> None:
    ecr: Any = Ecr(manifest)
    with pytest.raises(ImageError, match=r"SageMaker refuses.*batch-delete-image.*serve-1"):
        find(ecr, "serve-1")
