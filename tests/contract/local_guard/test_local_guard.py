"""Both servers of the local cloud answer whoever holds a key of it, and nobody else."""

import hashlib
import hmac
import io
import json
import os
import shutil
import socket
import subprocess
import urllib.request
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.local import account
from infra.local.access import keys, sigv4
from tests.contract.local_guard.conftest import BUCKET, Servers
from tests.faults.cloud.proxy import Proxy, Service

SERVERS = ("aws", "sagemaker")
PATIENCE = 30.0
QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


def port_of(servers: Servers, server: str) -> int:
    return servers.ports.aws if server == "aws" else servers.ports.sagemaker


def exchange(port: int, request: str, body: bytes = b"") -> Answer:
    """As it is written, to the end of the connection or until nothing more comes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + body)
        with suppress(TimeoutError):
            while data := connection.recv(65536):
                received += data
                connection.settimeout(QUIET_SECONDS)
    text = received.decode("latin-1")
    return Answer(int(text.split()[1]) if text.startswith("HTTP/") else 0, text)


def signed(servers: Servers, server: str, method: str = "GET", path: str = "/") -> str:
    """The lines that sign a request without a body."""
    url = f"http://127.0.0.1:{port_of(servers, server)}{path}"
    request = AWSRequest(method, url)
    request.context["payload_signing_enabled"] = True
    signer, service = (S3SigV4Auth, "s3") if server == "aws" else (SigV4Auth, "sagemaker")
    used = Credentials(servers.key.access_key_id, servers.key.secret_access_key)
    signer(used, service, account.REGION).add_auth(request)
    return "".join(f"{name}: {value}\n" for name, value in request.headers.items())


def ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return Answer(answer.status, answer.read().decode())
    except HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, f"{refusal.headers}{refusal.read().decode()}")


@pytest.mark.parametrize("server", SERVERS)
def test_signed_requests_are_answered_and_the_same_for_another_place_are_not(
    servers: Servers, server: str
) -> None:
    port = port_of(servers, server)
    lines, own = signed(servers, server), f"Host: 127.0.0.1:{port}\n"
    close = "Connection: close\n\n"
    good = exchange(port, f"GET / HTTP/1.1\n{own}{lines}{close}")
    assert good.status in (200, 405), good.text  # the local SageMaker takes POST only
    for request in (
        f"GET / HTTP/1.1\nHost: evil.example:{port}\n{lines}",
        f"GET / HTTP/1.1\n{own}Host: evil.example\n{lines}",
        f"GET / HTTP/1.1\n{own}{own}{lines}",
        f"GET / HTTP/1.1\n{lines}",
        f"GET / HTTP/1.0\n{lines}",
        f"GET http://evil.example/ HTTP/1.1\n{own}{lines}",
        f"GET http://127.0.0.1:{port}/ HTTP/1.1\n{own}{lines}",
        f"GET //evil.example/ HTTP/1.1\n{own}{lines}",
        f"GET / HTTP/1.1\n{own}Origin: http://127.0.0.1:{port + 1}\n{lines}",
        f"GET / HTTP/1.1\n{own}Origin: null\n{lines}",
        f"GET / HTTP/1.1\n{own}Sec-Fetch-Site: same-site\n{lines}",
        f"OPTIONS / HTTP/1.1\n{own}Access-Control-Request-Method: PUT\n{lines}",
        f"GET / HTTP/1.1\n{own}Content-Length: 0\nTransfer-Encoding: chunked\n{lines}",
    ):
        bad = exchange(port, request + close)
        assert 400 <= bad.status < 500, f"{request}{bad.text}"
        assert "access-control-" not in bad.text.lower()


@pytest.mark.parametrize("server", SERVERS)
def test_no_connection_turns_into_another_protocol(servers: Servers, server: str) -> None:
    port = port_of(servers, server)
    own = f"Host: 127.0.0.1:{port}\n{signed(servers, server)}"
    socket_ = "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n"
    upgrade = "Connection: Upgrade\nUpgrade: websocket\n"
    for path in ("/", "/_aws/execute-api/abcdefab/prod"):
        for more in (f"Origin: http://127.0.0.1:{port}\n", "Connection: close\n"):
            opened = exchange(port, f"GET {path} HTTP/1.1\n{own}{more}{upgrade}{socket_}\n")
            assert opened.status in (400, 403, 404, 405), opened.text
    second = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n"
    answer = exchange(port, f"GET / HTTP/1.1\n{own}{second}\n")
    assert BUCKET not in answer.text, "a request was answered over HTTP/2"


ADMINISTRATION = [
    *(("GET", path) for path in ("/_ministack/health", "/_localstack/health", "/health")),
    *(("GET", path) for path in ("/_ministack/ready", "/_ministack/ses/messages")),
    *(("GET", path) for path in ("/_aws/sqs/messages", "/_aws/ses", "/_aws/sns/sms-messages")),
    *(("POST", path) for path in ("/_ministack/reset", "/_ministack/config")),
    ("GET", "/_ministack/lambda-code/000000000000/us-east-1/f"),
    ("PUT", "/_ministack/cfn-response/token"),
    ("POST", "/_ministack/rds/iam-auth"),
    *(("GET", path) for path in ("/latest/meta-data/iam/security-credentials/", "/v2/", "/nosuch")),
    *(("PUT", path) for path in ("/latest/api/token", f"/{BUCKET}/k", "/new-bucket")),
    *(("GET", path) for path in ("/iceberg/v1/config", "/.well-known/jwks.json", "/_alb/x/")),
    *(("POST", path) for path in ("/oauth2/token", "/2015-03-31/functions", "/", f"/{BUCKET}")),
    *(("DELETE", path) for path in (f"/{BUCKET}", f"/{BUCKET}/k")),
    *(("GET", path) for path in ("/_aws/execute-api/abcdefab/prod/x", "/ping", "/robots.txt")),
    ("POST", "/endpoints/e/invocations"),
    ("GET", "/favicon.ico"),
]


@pytest.mark.parametrize("server", SERVERS)
def test_no_path_is_open_to_those_who_do_not_sign(servers: Servers, server: str) -> None:
    for method, path in ADMINISTRATION:
        assert_closed(servers, server, method, path)


def assert_closed(servers: Servers, server: str, method: str, path: str) -> None:
    url = f"http://127.0.0.1:{port_of(servers, server)}{path}"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/x-amz-json-1.1"):
        body = b"Action=ListUsers&Version=2010-05-08" if method == "POST" else None
        answer = ask(url, method, body, {"Content-Type": kind})
        assert answer.status == 403, answer.text
        assert "access-control-" not in answer.text.lower()
    port = port_of(servers, server)
    host = f"Host: {'a' * 32}.lambda-url.us-east-1.on.aws:{port}"
    assert exchange(port, f"{method} {path} HTTP/1.1\n{host}\nConnection: close\n\n").status == 403


NOBODY = ("AKIAAAAAAAAAAAAAAAAA", "x" * 40)
CALLS = [
    ("s3", "list_buckets", "InvalidAccessKeyId"),
    *(
        (service, operation, "InvalidClientTokenId")
        for service, operation in [
            *(("sts", "get_caller_identity"), ("iam", "list_users"), ("sqs", "list_queues")),
            *(
                ("lambda", "list_functions"),
                ("events", "list_rules"),
                ("logs", "describe_log_groups"),
            ),
            *(("cloudformation", "list_stacks"), ("scheduler", "list_schedules")),
            *(("cloudwatch", "describe_alarms"), ("sagemaker", "list_models")),
        ]
    ),
]


@pytest.mark.parametrize(("service", "operation", "unknown"), CALLS)
def test_each_service_knows_its_callers(
    servers: Servers, service: str, operation: str, unknown: str
) -> None:
    getattr(servers.client(service), operation)()
    for key, code in (
        (NOBODY, unknown),
        (("test", "test"), unknown),
        ((account.ACCOUNT, servers.key.secret_access_key), unknown),
        ((servers.key.access_key_id, "x" * 40), "SignatureDoesNotMatch"),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(servers.client(service, key), operation)()
        told = refused.value.response
        assert (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]) == (code, 403)


KEYS = ["plain", "a b+c/é%2F(1)*!'.jpg", "x//y", "..a", "q?x=1&y=2#z", "~", "日本", "a\tb"]


@pytest.mark.parametrize("key", KEYS)
def test_objects_and_presigned_urls_of_any_key(servers: Servers, key: str) -> None:
    s3 = servers.client("s3")
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"one", Metadata={"note": "a  b"})
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"one"
    at = {"Bucket": BUCKET, "Key": key}
    assert ask(s3.generate_presigned_url("get_object", Params=at)).text == "one"
    assert ask(s3.generate_presigned_url("put_object", Params=at), "PUT", b"two").status == 200
    url = s3.generate_presigned_url("get_object", Params=at)
    assert ask(url, headers={"Sec-Fetch-Site": "none"}).text == "two"
    for changed, headers in (
        (url.replace(BUCKET, f"{BUCKET}x"), {}),
        (url.replace("Expires=3600", "Expires=3601"), {}),
        (url[:-1] + ("0" if url[-1] != "0" else "1"), {}),
        (url, {"Origin": "http://evil.example"}),
        (url, {"Sec-Fetch-Site": "cross-site"}),
        (url, {"Sec-Fetch-Site": "same-site"}),
    ):
        assert ask(changed, headers=headers).status == 403
    assert ask(url, "PUT", b"three").status == 403


def test_urls_by_the_old_signature_are_refused(servers: Servers) -> None:
    used = Credentials(servers.key.access_key_id, servers.key.secret_access_key)
    path = f"/{BUCKET}/plain"
    old = AWSRequest("GET", f"{servers.ports.aws_url}{path}", auth_path=path)
    HmacV1QueryAuth(used).add_auth(old)
    assert "AWSAccessKeyId" in str(old.url)
    answer = ask(str(old.url))
    assert (answer.status, "Please use AWS4-HMAC-SHA256" in answer.text) == (400, True)


def test_large_files_in_parts(servers: Servers) -> None:
    body = os.urandom(20 * 1024 * 1024)
    s3 = servers.client("s3")
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "large")
    got = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", got)
    assert got.getvalue() == body


def test_a_buckets_own_host(servers: Servers) -> None:
    host = f"{BUCKET}.localhost:{servers.ports.aws}"
    request = AWSRequest("GET", f"http://{host}/?list-type=2")
    request.context["payload_signing_enabled"] = True
    used = Credentials(servers.key.access_key_id, servers.key.secret_access_key)
    S3SigV4Auth(used, "s3", account.REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
    told = f"GET /?list-type=2 HTTP/1.1\nHost: {host}\n{lines}Connection: close\n\n"
    answer = exchange(servers.ports.aws, told)
    assert (answer.status, f"<Name>{BUCKET}</Name>" in answer.text) == (200, True)


def chunked(servers: Servers, key: str, data: bytes, payload: str) -> tuple[str, bytes]:
    """(request, body) of an upload in one chunk, as other SDKs than boto3 send it."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    signs = payload == sigv4.SIGNED_CHUNKS
    told = {
        "content-encoding": "aws-chunked",
        "host": f"127.0.0.1:{servers.ports.aws}",
        "x-amz-content-sha256": payload,
        "x-amz-date": at,
        "x-amz-decoded-content-length": str(len(data)),
    }
    scope = f"{at[:8]}/{account.REGION}/s3/aws4_request"
    credential = f"{servers.key.access_key_id}/{scope}"

    def authorization(signature: str) -> str:
        names = ";".join(told)
        return (
            f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        )

    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    header = (b"authorization", authorization("0").encode())
    request = sigv4.HttpRequest("PUT", f"/{BUCKET}/{key}".encode(), b"", [*headers, header])
    claim = sigv4.read(request)
    secret = servers.key.secret_access_key
    previous = sigv4.expected(request, claim, secret, payload)
    lines = f"PUT /{BUCKET}/{key} HTTP/1.1\nauthorization: {authorization(previous)}\n"
    lines += "".join(f"{name}: {value}\n" for name, value in told.items())
    body = b""
    for chunk in (data, b""):
        digest = hashlib.sha256(chunk).hexdigest()
        text = "\n".join(
            ("AWS4-HMAC-SHA256-PAYLOAD", at, scope, previous, sigv4.EMPTY, digest)
        ).encode()
        previous = hmac.new(sigv4.signing_key(secret, claim), text, hashlib.sha256).hexdigest()
        extension = f";chunk-signature={previous}" if signs else ""
        body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    body += b"\r\n"
    return f"{lines}Content-Length: {len(body)}\nConnection: close\n\n", body


@pytest.mark.parametrize("payload", [sigv4.SIGNED_CHUNKS, sigv4.UNSIGNED_CHUNKS])
def test_uploads_in_chunks(servers: Servers, payload: str) -> None:
    s3, data = servers.client("s3"), b"chunk " * 50_000
    request, body = chunked(servers, "chunked", data, payload)
    assert exchange(servers.ports.aws, request, body).status == 200
    assert s3.get_object(Bucket=BUCKET, Key="chunked")["Body"].read() == data
    if payload == sigv4.SIGNED_CHUNKS:
        changed = body.replace(b"chunk ", b"Chunk ", 1)
        answer = exchange(servers.ports.aws, request, changed)
        assert (answer.status, "SignatureDoesNotMatch" in answer.text) == (403, True)
        assert s3.get_object(Bucket=BUCKET, Key="chunked")["Body"].read() == data


def test_a_body_that_is_not_what_was_signed_is_not_written(servers: Servers) -> None:
    key = f"/{BUCKET}/never"
    request = AWSRequest("PUT", f"{servers.ports.aws_url}{key}", data=b"signed")
    request.context["payload_signing_enabled"] = True
    used = Credentials(servers.key.access_key_id, servers.key.secret_access_key)
    S3SigV4Auth(used, "s3", account.REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
    told = f"PUT {key} HTTP/1.1\nHost: 127.0.0.1:{servers.ports.aws}\n{lines}Content-Length: 6\n"
    answer = exchange(servers.ports.aws, f"{told}Connection: close\n\n", b"Signed")
    assert (answer.status, "XAmzContentSHA256Mismatch" in answer.text) == (400, True)
    assert ask_missing(servers, "never")


def ask_missing(servers: Servers, key: str) -> bool:
    with pytest.raises(ClientError, match=r"NoSuchKey|404"):
        servers.client("s3").get_object(Bucket=BUCKET, Key=key)
    return True


TRUST = {"Effect": "Allow", "Principal": {"AWS": "*", "Service": "lambda.amazonaws.com"}}
MAY_LIST = {
    "Effect": "Allow",
    "Action": ["s3:ListAllMyBuckets", "s3:ListBucket", "sagemaker:ListModels"],
    "Resource": "*",
}


@pytest.fixture(scope="module")
def role(servers: Servers) -> str:
    iam = servers.client("iam")
    document = {"Version": "2012-10-17", "Statement": [TRUST | {"Action": "sts:AssumeRole"}]}
    made = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(document))
    policy = {"Version": "2012-10-17", "Statement": [MAY_LIST]}
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=json.dumps(policy))
    arn: str = made["Role"]["Arn"]
    return arn


def test_temporary_keys_of_a_role_are_known_to_both_servers(servers: Servers, role: str) -> None:
    sts = servers.client("sts")
    given = sts.assume_role(RoleArn=role, RoleSessionName="somebody")["Credentials"]
    key = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert servers.client("s3", key).list_buckets()["Buckets"]
    assert servers.client("sagemaker", key).list_models()["Models"] == []
    for service, operation in (("s3", "list_buckets"), ("sagemaker", "list_models")):
        for wrong in ((*key[:2], "x"), key[:2], (key[0], "x" * 40, key[2])):
            with pytest.raises(ClientError, match=r"Invalid|DoesNotMatch"):
                getattr(servers.client(service, wrong), operation)()
    question = f"{servers.ports.aws_url}{keys.PATH}{key[0]}"
    asked = AWSRequest("GET", question)
    SigV4Auth(Credentials(*key), "sts", account.REGION).add_auth(asked)
    assert ask(question, headers=dict(asked.headers.items())).status == 403, (
        "keys are told to the owner alone"
    )


def test_keys_of_a_user_are_known_to_both_servers(servers: Servers) -> None:
    iam = servers.client("iam")
    iam.create_user(UserName="somebody")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [MAY_LIST]})
    iam.put_user_policy(UserName="somebody", PolicyName="p", PolicyDocument=policy)
    made = iam.create_access_key(UserName="somebody")["AccessKey"]
    key = (made["AccessKeyId"], made["SecretAccessKey"])
    assert servers.client("sagemaker", key).list_models()["Models"] == []
    assert servers.client("sts", key).get_caller_identity()["UserId"]


FUNCTION = """
import os, boto3
def handler(event, context):
    sagemaker = boto3.client("sagemaker").list_models()["Models"]
    buckets = boto3.client("s3", endpoint_url=event).list_buckets()["Buckets"]
    return [os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"],
            len(sagemaker), [each["Name"] for each in buckets]]
"""


def test_functions_act_with_their_roles_keys(servers: Servers, role: str) -> None:
    functions = servers.client("lambda")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", FUNCTION)
    functions.create_function(
        FunctionName="acts",
        Runtime="python3.11",
        Role=role,
        Handler="f.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
    )
    answer = functions.invoke(FunctionName="acts", Payload=json.dumps(servers.ports.aws_url))
    key_id, secret, models, buckets = json.load(answer["Payload"])
    assert (models, buckets) == (0, [BUCKET])
    assert key_id.startswith("ASIA")
    arn = functions.get_function_configuration(FunctionName="acts")["FunctionArn"]
    guessed = hashlib.sha256(f"{arn}:{role}".encode()).hexdigest()
    guesses = {
        f"ASIA{guessed[:16].upper()}",
        hashlib.sha256(f"secret:{guessed}".encode()).hexdigest(),
    }
    assert not guesses & {key_id, secret}, "a function's key must not follow from its name"


def test_a_proxy_in_between_has_to_sign_again(servers: Servers, role: str) -> None:
    """As that of the tests of faults does; one that only forwards is refused."""
    given = servers.client("sts").assume_role(RoleArn=role, RoleSessionName="proxied")[
        "Credentials"
    ]
    of_role = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    own = (servers.key.access_key_id, servers.key.secret_access_key)
    aws, sagemaker = servers.ports.aws_url, servers.ports.sagemaker_url
    upstream: dict[Service, str] = {"s3": aws, "sqs": aws, "sagemaker-runtime": sagemaker}
    with Proxy(upstream, [], keys=keys.Keys(*own, aws, account.REGION)).serving() as proxy:
        s3 = servers.client("s3", of_role, proxy.urls["s3"])
        s3.list_objects_v2(Bucket=BUCKET, Prefix="a b/ü")
        servers.client("sqs", own, proxy.urls["sqs"]).list_queues(QueueNamePrefix="a")
        servers.client("sagemaker", of_role, proxy.urls["sagemaker-runtime"]).list_models()
    with Proxy(upstream, []).serving() as proxy, pytest.raises(ClientError, match="AccessDenied"):
        servers.client("s3", own, proxy.urls["s3"]).list_buckets()


def environment(servers: Servers) -> dict[str, str]:
    return account.environment(servers.place, servers.ports, os.environ)


@pytest.mark.skipif(not shutil.which("aws"), reason="the AWS CLI is not installed")
def test_the_aws_cli(servers: Servers, tmp_path: Path) -> None:
    def aws(*arguments: str) -> str:
        done = subprocess.run(
            ["aws", *arguments],
            env=environment(servers),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = tmp_path / "photo (1).jpg"
    file.write_bytes(os.urandom(9 * 1024 * 1024))
    aws("s3", "cp", str(file), f"s3://{BUCKET}/cli/")
    assert "photo (1).jpg" in aws("s3", "ls", f"s3://{BUCKET}/cli/")
    assert aws("sagemaker", "list-models", "--query", "Models").strip() == "[]"
    aws("lambda", "list-functions")
    url = aws("s3", "presign", f"s3://{BUCKET}/plain-for-cli").strip()
    servers.client("s3").put_object(Bucket=BUCKET, Key="plain-for-cli", Body=b"presigned")
    assert ask(url).text == "presigned"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(servers: Servers) -> None:
    def curl(*arguments: str) -> str:
        done = subprocess.run(
            ["curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    servers.client("s3").put_object(Bucket=BUCKET, Key="for-curl", Body=b"x")
    url = f"{servers.ports.aws_url}/{BUCKET}/for-curl"
    user = f"{servers.key.access_key_id}:{servers.key.secret_access_key}"
    signs = ("--aws-sigv4", f"aws:amz:{account.REGION}:s3", "--user", user)
    whole = ("-H", f"x-amz-content-sha256: {sigv4.EMPTY}")
    assert curl(*signs, *whole, url) == "200"
    assert curl(*signs, *whole, "-H", "Origin: http://evil.example", url) == "403"
    assert curl(*signs, *whole, "-H", "Host: evil.example", url) == "403"
    assert curl(url) == "403"
    for text in ("text/plain", "application/json"):
        asked = ("-H", f"Content-Type: {text}", "-d", "{}")
        assert curl(*asked, f"{servers.ports.aws_url}/2015-03-31/functions") == "403"
        assert curl(*asked, servers.ports.sagemaker_url) == "403"
