"""Which variant of the container image a model or a training job needs.

`serve` has OpenVINO and no PyTorch, `cpu` has both, `gpu` has PyTorch with CUDA. The smallest
variant that has the engine is chosen, because it is pulled and scanned at each start of a machine.
"""

from domain.instance import check_gpu, has_gpu
from domain.model import ModelCard
from infra.shipped import Variant


def for_model(card: ModelCard, instance_type: str) -> Variant:
    """The variant that serves the model; OpenVINO if its archive has the files. Raises
    UnfitInstanceError.

    Transform jobs use the same image on machines without a GPU, where `gpu` works too.
    """
    check_gpu(instance_type)
    if has_gpu(instance_type):
        return "gpu"
    return "cpu" if card.openvino is None else "serve"


def for_training(instance_type: str) -> Variant:
    """The variant for training on this instance type. Raises UnfitInstanceError."""
    check_gpu(instance_type)
    return "gpu" if has_gpu(instance_type) else "cpu"
