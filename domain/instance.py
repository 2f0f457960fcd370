"""Properties of an instance type by its name (GPU, local disks), and the default type."""

import re
from typing import Final

from domain.errors import SortboxError

DEFAULT_TYPE: Final = "ml.m5.xlarge"

PARALLEL_TRIALS = 2
"""The default number of training instances that a hyperparameter search runs at once."""

GPU = re.compile(r"[gp][0-9].*")
"""Families with NVIDIA's GPUs: g4dn, g5, p4d, p6-b200 …"""

BEFORE_TURING = re.compile(r"p[23](dn)?")
"""Kepler and Volta. CUDA 13 supports Turing (g4dn) and later (NVIDIA's release notes of 13.0)."""

GPU_DRIVER = 580
"""The oldest NVIDIA driver that CUDA 13 works with (NVIDIA's release notes of 13.0)."""

LOCAL = re.compile(
    r"[a-z]+[0-9]+[a-z]*d[a-z]*|g5|gr?6e?|gr?6f|g7e?|p5(e|en)?|p6.*|trn[12].*|i[0-9].*"
)
"""Families with local NVMe disks: those with a `d` after the generation (m5d, g4dn), and these."""


class UnfitInstanceError(SortboxError):
    """The container cannot run on this instance type; the sentence says why."""


def has_gpu(instance_type: str) -> bool:
    """Whether the type has an NVIDIA GPU, as `ml.g4dn.xlarge` has."""
    return GPU.fullmatch(_family(instance_type)) is not None


def check_gpu(instance_type: str) -> None:
    """Raises UnfitInstanceError if the image's PyTorch does not support the type's GPU."""
    if BEFORE_TURING.fullmatch(_family(instance_type)):
        raise UnfitInstanceError(
            f"{instance_type} has a GPU older than Turing, which CUDA 13 does not support, and the "
            "image's PyTorch is built with CUDA 13. Choose ml.g4dn.xlarge or newer."
        )


def check_transform(instance_type: str) -> None:
    """Raises UnfitInstanceError if the type has a GPU, which Batch Transform cannot serve.

    Its drivers are too old for the image's CUDA: botocore's model lists 470 and 535 and no other
    (TransformResources.TransformAmiVersion).
    """
    if has_gpu(instance_type):
        raise UnfitInstanceError(
            f"transformInstanceType: {instance_type} has a GPU, and Batch Transform has NVIDIA's "
            f"drivers 470 and 535 only, where the image's PyTorch (CUDA 13) needs {GPU_DRIVER}. "
            "Choose a type without a GPU, such as ml.m5.xlarge or ml.c7i.2xlarge."
        )


def explain_unusable_gpu(cuda: str | None) -> str:
    """Why PyTorch finds no GPU on a machine that has one: the second half of a sentence.

    `cuda` is the CUDA version of PyTorch's build, None for a build without CUDA.
    """
    if cuda is None:
        return "its PyTorch is built without CUDA, which the `gpu` variant of the image has"
    return (
        f"its PyTorch is built with CUDA {cuda} and finds none, which needs NVIDIA's driver "
        f"{GPU_DRIVER} or newer"
    )


def _family(instance_type: str) -> str:
    return instance_type.removeprefix("ml.").partition(".")[0]


def has_local_storage(instance_type: str) -> bool:
    """Whether the type has local NVMe disks, as `ml.g4dn.xlarge` has.

    The instance encrypts such disks with its own key, and SageMaker rejects a VolumeKmsKeyId for
    them (API reference, TransformResources and ResourceConfig). Unknown families count as without.
    """
    return LOCAL.fullmatch(_family(instance_type)) is not None
