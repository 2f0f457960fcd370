"""The cloud of the flow tests holds everybody to what they may do, or those tests show less."""

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.account import REGION
from infra.local.cloud import LocalCloud

pytestmark = pytest.mark.flow


def test_whoever_has_no_permission_is_denied(running: LocalCloud) -> None:
    iam = running.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    s3 = nobody.client("s3", endpoint_url=running.ports.aws_url)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=running.bucket, Prefix="inbox/")
