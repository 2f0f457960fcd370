"""What these tests keep in S3 stays there, whatever else runs in their process."""

from moto import mock_aws

from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud


def test_a_mock_of_another_file_does_not_empty_this_s3(cloud: Cloud) -> None:
    cloud.put("kept", b"whole")
    with mock_aws():
        pass
    kept = cloud.s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read()
    assert kept == b"whole", "every mock_aws empties the state of its own process"
