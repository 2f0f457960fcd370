"""Which variant of the container's image a model or a training job needs.

`serve` has OpenVINO and no PyTorch, `cpu` has both, `gpu` has PyTorch with CUDA. The smallest one
that has the engine is taken: it is pulled and scanned at each start of a machine.
"""

from domain.instance import check_gpu, has_gpu
from domain.model import ModelCard
from infra.shipped import Variant


def for_model(card: ModelCard, instance_type: str) -> Variant:
    """To serve it: by OpenVINO where its archive has the files. Raises UnfitInstanceError.

    The same image runs its transform jobs, on machines without a GPU: `gpu` serves there too.
    """
    check_gpu(instance_type)
    if has_gpu(instance_type):
        return "gpu"
    return "cpu" if card.openvino is None else "serve"


def for_training(instance_type: str) -> Variant:
    """Raises UnfitInstanceError."""
    check_gpu(instance_type)
    return "gpu" if has_gpu(instance_type) else "cpu"
