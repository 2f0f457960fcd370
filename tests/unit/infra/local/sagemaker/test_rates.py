"""More requests than an account may send are refused, and only those."""

import pytest

from infra.local.accounts import Account
from infra.local.sagemaker.core.errors import ThrottlingException
from infra.local.sagemaker.core.rates import Rates


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_not_used_may_be_used_at_once_and_then_only_so_much_a_second() -> None:
    clock = Clock()
    rates = Rates({"Describe*": 2}, clock)
    for _ in range(10):
        rates.take("DescribeEndpoint")
    with pytest.raises(ThrottlingException, match="Rate exceeded"):
        rates.take("DescribeEndpoint")
    clock.now += 0.5
    rates.take("DescribeEndpoint")
    with pytest.raises(ThrottlingException):
        rates.take("DescribeEndpoint")


def test_each_operation_has_tokens_of_its_own_and_others_have_no_limit() -> None:
    rates = Rates({"Describe*": 0.1})
    rates.take("DescribeEndpoint")
    rates.take("DescribeTrainingJob")
    with pytest.raises(ThrottlingException):
        rates.take("DescribeTrainingJob")
    for _ in range(100):
        rates.take("CreateModel")


@pytest.mark.parametrize("kind", ["fresh", "established"])
def test_a_poll_a_second_of_several_people_is_far_below_any_rate(kind: str) -> None:
    assert min(Account.named(kind).rates.values()) >= 10
