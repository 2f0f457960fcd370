"""Which instance types have disks of their own, that SageMaker takes no key for."""

import pytest

from domain.instance import has_local_storage


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
