"""The verifier agrees with botocore's signer and with AWS's published examples, byte for byte."""

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.access import sigv4
from infra.local.access.sigv4 import HttpRequest, RequestRefusedError, Signature

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
URL = "http://127.0.0.1:4566"

PATHS = {
    "s3": ["/", "/b/plain", "/b/a%20b%2Bc/%C3%A9%252F.jpg", "/b/x//y", "/b/..a", "/b/~t%281%29%2A"],
    "lambda": [
        "/2015-03-31/functions/",
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Af/invocations",
        "/a/./b/../c//d/",
    ],
}
QUERIES = [
    "",
    "uploads",
    "list-type=2&prefix=a%20b%2F&delimiter=%2F",
    "b=2&a=1&a=%C3%A9&a=",
    "x=a%2Bb",
]
BODY = b"\x00\xff body"
IMPORTED_AT = datetime.now(UTC)
"""When this module's own requests are signed: the test that uses them may come much later."""


def signed(
    signer: type[SigV4Auth],
    method: str,
    service: str,
    url: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> HttpRequest:
    """As botocore sends it."""
    request = AWSRequest(method, url, headers or {}, body)
    request.context["payload_signing_enabled"] = True
    if not issubclass(signer, SigV4QueryAuth):
        request.headers["Host"] = urlsplit(url).netloc
    signer(Credentials(KEY_ID, SECRET, token), service, "us-east-1").add_auth(request)
    told = {name.lower(): str(value) for name, value in request.headers.items()}
    told.setdefault("host", urlsplit(url).netloc)
    parts = urlsplit(str(request.url))
    encoded = [(name.encode(), value.encode()) for name, value in told.items()]
    return HttpRequest(method, parts.path.encode(), parts.query.encode(), encoded)


def verify(
    request: HttpRequest, body: bytes = b"", secret: str = SECRET, now: datetime | None = None
) -> Signature:
    """As the guard does. Raises RequestRefusedError."""
    signature = sigv4.read(request)
    sigv4.check_time(signature, now or datetime.now(UTC))
    payload = sigv4.payload_hash(request, signature) or hashlib.sha256(body).hexdigest()
    sigv4.check(request, signature, secret, payload)
    check = sigv4.body_check(signature, secret, payload)
    check.update(body)
    check.finish()
    return signature


def refused(code: str) -> "pytest.RaisesExc[RequestRefusedError]":
    return pytest.raises(RequestRefusedError, check=lambda error: error.code == code)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    ("signer", "service", "path", "body"),
    [
        *((S3SigV4Auth, "s3", path, body) for path in PATHS["s3"] for body in (b"", BODY)),
        *((SigV4Auth, "lambda", path, body) for path in PATHS["lambda"] for body in (b"", BODY)),
        *((S3SigV4QueryAuth, "s3", path, b"") for path in PATHS["s3"]),
        *((SigV4QueryAuth, "lambda", path, b"") for path in PATHS["lambda"]),
    ],
)
def test_what_botocore_signs_holds_and_one_change_breaks_it(
    signer: type[SigV4Auth], service: str, path: str, body: bytes, query: str
) -> None:
    headers = {"X-Amz-Meta-Note": "a  b"}
    request = signed(signer, "PUT", service, f"{URL}{path}?{query}", body, headers, "a token")
    assert verify(request, body).token == "a token"
    changed = {
        "method": replace(request, method="POST"),
        "path": replace(request, path=request.path + b"x"),
        "query": replace(request, query=request.query + b"&x=1"),
        "header": replace(
            request, headers=[(n, v.replace(b"4566", b"1")) for n, v in request.headers]
        ),
    }
    for what, each in changed.items():
        with pytest.raises(RequestRefusedError, match="signature"):
            print(what, verify(each, body))
    with refused("SignatureDoesNotMatch"):
        verify(request, body, SECRET + "x")


def test_a_changed_body_is_not_what_was_signed() -> None:
    s3 = signed(S3SigV4Auth, "PUT", "s3", f"{URL}/b/k", b"body")
    with refused("XAmzContentSHA256Mismatch"):
        verify(s3, b"Body")
    function = signed(SigV4Auth, "POST", "lambda", f"{URL}/2015-03-31/functions", b"{}")
    with refused("SignatureDoesNotMatch"):
        verify(function, b"{ }")


AT = "20130524T000000Z"


def published(payload: str, signature: str, headers: Iterable[tuple[str, str]]) -> HttpRequest:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …-trailers.html"""
    told = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", AT),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", payload),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        *headers,
    ]
    names = sorted(name for name, _ in told)
    if payload.endswith("TRAILER"):
        names.remove("content-length")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(names)},Signature={signature}"
    )
    every = [*told, ("authorization", authorization)]
    encoded = [(name.encode(), value.encode()) for name, value in every]
    return HttpRequest("PUT", b"/examplebucket/chunkObject.txt", b"", encoded)


CHUNKED = published(
    sigv4.SIGNED_CHUNKS, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", ()
)
CHUNKS = b"".join(
    f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + b"\r\n"
    for data, signature in (
        (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    )
)
WITH_TRAILER = published(
    sigv4.SIGNED_CHUNKS_AND_TRAILER,
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    [("x-amz-trailer", "x-amz-checksum-crc32c")],
)
TRAILED = (
    b"".join(
        f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + (data and b"\r\n")
        for data, signature in (
            (b"a" * 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
            (b"a" * 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
            (b"", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
        )
    )
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:"
    + b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)


def follow(request: HttpRequest, body: bytes, step: int) -> None:
    signature = sigv4.read(request)
    payload = request.value("x-amz-content-sha256")
    check = sigv4.body_check(signature, SECRET, payload)
    for start in range(0, len(body), step):
        check.update(body[start : start + step])
    check.finish()


@pytest.mark.parametrize("step", [1, 7, 65536, 1_000_000])
@pytest.mark.parametrize(
    ("request_", "body"), [(CHUNKED, CHUNKS), (WITH_TRAILER, TRAILED)], ids=["plain", "trailer"]
)
def test_the_published_chunks_hold_however_they_arrive(
    request_: HttpRequest, body: bytes, step: int
) -> None:
    signature = sigv4.read(request_)
    sigv4.check(request_, signature, SECRET, request_.value("x-amz-content-sha256"))
    follow(request_, body, step)


WITHOUT_SIGNATURE = TRAILED[: TRAILED.index(b"x-amz-trailer-signature")] + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (CHUNKED, CHUNKS.replace(b"aa", b"ab", 1)),
        (CHUNKED, CHUNKS[: CHUNKS.index(b"400;")]),
        (CHUNKED, CHUNKS[: CHUNKS.rindex(b"0;chunk")]),
        (CHUNKED, CHUNKS[:-2]),
        (CHUNKED, CHUNKS + b"x"),
        (CHUNKED, CHUNKS + b"\r\n"),
        (CHUNKED, CHUNKS[:-2] + b"x-amz-meta-a:b\r\n\r\n"),
        (CHUNKED, b"a" * 66560),
        (CHUNKED, b""),
        (CHUNKED, b"a" * 20_000),
        (CHUNKED, b"5\r\naaaaa\r\n0\r\n\r\n"),
        (CHUNKED, CHUNKS.replace(b"400;", b"+400;")),
        (WITH_TRAILER, TRAILED.replace(b"sOO8", b"sOO9")),
        (WITH_TRAILER, WITHOUT_SIGNATURE),
        (WITH_TRAILER, TRAILED[:-2] + b"x-amz-meta-a:b\r\n\r\n"),
        (WITH_TRAILER, TRAILED[:-2]),
    ],
)
def test_a_chunk_that_was_changed_added_or_left_out_is_seen(
    request_: HttpRequest, body: bytes
) -> None:
    with refused("SignatureDoesNotMatch"):
        follow(request_, body, 4096)


def without(request: HttpRequest, name: str) -> HttpRequest:
    return replace(request, headers=[each for each in request.headers if each[0] != name.encode()])


def with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    return replace(request, headers=[*request.headers, (name.encode(), value.encode())])


HEADER = signed(S3SigV4Auth, "GET", "s3", f"{URL}/b/k")
QUERY = signed(S3SigV4QueryAuth, "GET", "s3", f"{URL}/b/k")
TOKEN = HEADER.value("authorization")


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("MissingAuthenticationToken", without(HEADER, "authorization")),
        ("InvalidRequest", with_header(HEADER, "authorization", TOKEN)),
        ("InvalidRequest", with_header(QUERY, "authorization", TOKEN)),
        (
            "InvalidRequest",
            with_header(without(HEADER, "authorization"), "authorization", "AWS k:s"),
        ),
        (
            "InvalidRequest",
            with_header(without(HEADER, "authorization"), "authorization", "Basic eA=="),
        ),
        (
            "InvalidRequest",
            replace(QUERY, query=b"AWSAccessKeyId=k&Signature=s&Expires=9999999999"),
        ),
        ("InvalidRequest", without(HEADER, "x-amz-content-sha256")),
        ("IncompleteSignature", without(HEADER, "x-amz-date")),
        (
            "IncompleteSignature",
            replace(QUERY, query=QUERY.query.replace(b"HMAC-SHA256", b"ECDSA")),
        ),
        ("IncompleteSignature", replace(QUERY, query=QUERY.query.replace(b"=3600", b"=604801"))),
        ("IncompleteSignature", replace(QUERY, query=QUERY.query.replace(b"=3600", b"=0"))),
        ("IncompleteSignature", replace(QUERY, query=QUERY.query.replace(b"=3600", b"=-1"))),
        ("IncompleteSignature", replace(QUERY, query=QUERY.query + b"&X-Amz-Expires=1")),
        ("IncompleteSignature", replace(QUERY, query=QUERY.query.replace(b"X-Amz", b"x-amz"))),
        ("AccessDenied", with_header(HEADER, "x-amz-acl", "public-read")),
        ("AccessDenied", with_header(QUERY, "x-amz-meta-a", "b")),
        ("SignatureDoesNotMatch", replace(QUERY, query=QUERY.query.replace(b"=3600", b"=3601"))),
    ],
)
def test_a_signature_that_is_none_is_refused_by_name(code: str, request_: HttpRequest) -> None:
    with refused(code):
        verify(
            without(request_, "x-amz-date") if code == "IncompleteSignature" else request_,
            now=IMPORTED_AT,
        )


def test_the_host_is_always_signed() -> None:
    names = TOKEN.replace("SignedHeaders=host;", "SignedHeaders=")
    with refused("AccessDenied"):
        sigv4.read(with_header(without(HEADER, "authorization"), "authorization", names))


@pytest.mark.parametrize(
    ("service", "code", "seconds"),
    [
        ("s3", "", 880),
        ("s3", "RequestTimeTooSkewed", 920),
        ("s3", "RequestTimeTooSkewed", -920),
        ("sqs", "", 280),
        ("sqs", "SignatureDoesNotMatch", 320),
        ("sqs", "SignatureDoesNotMatch", -320),
    ],
)
def test_a_request_from_another_time_is_refused_as_aws_does(
    service: str, code: str, seconds: int
) -> None:
    signature = sigv4.read(signed(SigV4Auth, "GET", service, URL))
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    with refused(code) if code else nullcontext():
        sigv4.check_time(signature, now)


def test_a_presigned_url_ends() -> None:
    signature = sigv4.read(QUERY)
    signed_at = datetime.strptime(signature.at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    sigv4.check_time(signature, signed_at + timedelta(seconds=3600))
    with refused("AccessDenied"):
        sigv4.check_time(signature, signed_at + timedelta(seconds=3601))
