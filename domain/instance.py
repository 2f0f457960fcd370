"""What an instance type's name tells."""

import re

LOCAL = re.compile(
    r"[a-z]+[0-9]+[a-z]*d[a-z]*|g5|gr?6e?|gr?6f|g7e?|p5(e|en)?|p6.*|trn[12].*|i[0-9].*"
)
"""Families with NVMe disks of their own: a `d` after the generation (m5d, g4dn), and these."""


def has_local_storage(instance_type: str) -> bool:
    """`ml.g4dn.xlarge` has: such a disk is encrypted by the machine, and takes no key.

    SageMaker refuses a VolumeKmsKeyId for it (API reference, TransformResources and
    ResourceConfig); a family that is unknown here is taken for one without.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return LOCAL.fullmatch(family) is not None
