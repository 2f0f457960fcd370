"""Which instance types have disks of their own, that SageMaker takes no key for."""

import pytest

from domain.instance import UnfitInstanceError, check_transform, has_gpu, has_local_storage


@pytest.mark.parametrize(
    "kind",
    ["m5d", "c5d", "r5d", "m6gd", "c6id", "r7gd", "g4dn", "g5", "g6", "g6e", "p3dn", "p4d", "p4de"],
)
def test_a_machine_with_its_own_disks(kind: str) -> None:
    assert has_local_storage(f"ml.{kind}.xlarge")


@pytest.mark.parametrize(
    "kind",
    ["m5", "m4", "c5", "c5n", "c6i", "c7i", "c7g", "r5", "m6g", "t3", "p2", "p3", "inf1", "inf2"],
)
def test_a_machine_without(kind: str) -> None:
    assert not has_local_storage(f"ml.{kind}.xlarge")


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("ml.m5.xlarge", False),
        ("ml.c7i-flex.large", False),
        ("ml.inf2.xlarge", False),
        ("ml.g4dn.xlarge", True),
        ("ml.g6e.xlarge", True),
        ("ml.p6-b200.48xlarge", True),
    ],
)
def test_families_g_and_p_have_a_gpu(kind: str, has: bool) -> None:
    assert has_gpu(kind) == has


def test_a_transform_job_runs_on_no_gpu() -> None:
    """botocore's model names two machine images for it, with drivers 470 and 535."""
    check_transform("ml.m5.xlarge")
    for kind in ("ml.g4dn.xlarge", "ml.p3.2xlarge"):
        with pytest.raises(UnfitInstanceError, match=f"{kind} has a GPU, and Batch Transform"):
            check_transform(kind)
