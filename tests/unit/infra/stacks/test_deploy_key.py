"""Which key a deployment is under, and what is said to a key that cannot be."""

import pytest

from infra.stacks.deploy import DeployError, kms_key
from infra.stage import NO_KEY
from tests.support.builders.packaged import KEY

REGION = "eu-west-1"
OTHER = KEY.replace("1234abcd", "ffffffff")


@pytest.mark.parametrize(
    ("asked", "written", "deployed", "key"),
    [
        (None, NO_KEY, NO_KEY, NO_KEY),
        (KEY, NO_KEY, NO_KEY, KEY),
        (None, KEY, NO_KEY, KEY),
        (OTHER, KEY, KEY, OTHER),
        (None, OTHER, KEY, OTHER),
        (NO_KEY, KEY, KEY, NO_KEY),
    ],
)
def test_what_is_asked_for_comes_before_what_is_written(
    asked: str | None, written: str, deployed: str, key: str
) -> None:
    assert kms_key(asked, written, deployed, REGION) == key


def test_a_deployment_that_does_not_name_the_key_leaves_it() -> None:
    assert kms_key(None, NO_KEY, KEY, REGION) == KEY, "encryption never ends by forgetting"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("alias/mine", "an alias would not do"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "is a key's ARN"),
        (KEY.replace(":key/", ":alias/"), "an alias would not do"),
        (f"{KEY} --param logLevel=DEBUG", "is a key's ARN"),
        (KEY.replace(REGION, "us-east-1"), "the key is in us-east-1 and the stage in eu-west-1"),
    ],
)
def test_a_key_that_cannot_be_is_a_sentence_before_anything_is_deployed(
    asked: str, said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        kms_key(asked, NO_KEY, NO_KEY, REGION)
