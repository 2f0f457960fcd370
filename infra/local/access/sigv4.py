"""AWS Signature Version 4 from the server's side: parse and verify requests.

Standard library only, because the emulator's environment does not contain Sortbox's packages. The
rules are AWS's:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html Tests compare them with
botocore's signer.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
UNRESERVED = "-_.~"
UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
EMPTY = hashlib.sha256(b"").hexdigest()

S3_SKEW = timedelta(minutes=15)
SKEW = timedelta(minutes=5)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html"""

LONGEST_PRESIGN_SECONDS = 7 * 24 * 3600
LINE_BYTES = 8 * 1024
"""The most bytes of a chunk's header or a trailer, far more than either needs."""


class RequestRefusedError(Exception):
    """An AWS error: a code from the documentation's common errors, a message and an HTTP status."""

    def __init__(self, code: str, sentence: str, status: int = 403) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it was sent. `path` and `query` are still encoded; header names are in lower
    case.
    """

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: str) -> list[bytes]:
        return [value for header, value in self.headers if header == name.encode()]

    def value(self, name: str) -> str:
        """A header's value; empty if it is missing. Raises RequestRefusedError if it occurs several
        times.
        """
        values = self.values(name)
        if len(values) > 1:
            raise RequestRefusedError("InvalidRequest", f"There are several {name} headers.", 400)
        return values[0].decode("latin-1").strip() if values else ""

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The query's names and values, decoded."""
        pairs = (field.partition(b"=") for field in self.query.split(b"&") if field)
        return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature that a request states."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    at: str
    token: str
    expires: int | None
    """The validity of a presigned URL, in seconds."""

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def read(request: HttpRequest) -> Signature:
    """Parse the request's signature. Raises RequestRefusedError unless there is exactly one, of
    Signature Version 4.
    """
    header = request.value("authorization")
    names = {name.lower() for name, _ in request.fields}
    in_query = any(name in names for name in (b"x-amz-algorithm", b"x-amz-signature"))
    if b"awsaccesskeyid" in names or (header and not header.startswith(f"{ALGORITHM} ")):
        raise RequestRefusedError(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. "
            f"Please use {ALGORITHM}.",
            400,
        )
    if header and in_query:
        raise RequestRefusedError("InvalidRequest", "Only one auth mechanism is allowed.", 400)
    if not header and not in_query:
        raise RequestRefusedError(
            "MissingAuthenticationToken", "Request is missing Authentication Token"
        )
    signature = _of_query(request) if in_query else _of_header(request, header)
    _check_signed_headers(request, signature)
    return signature


def check_time(signature: Signature, now: datetime) -> None:
    """Raises RequestRefusedError if the signature has expired or its time differs too much from
    `now`.
    """
    try:
        at = datetime.strptime(signature.at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise RequestRefusedError("IncompleteSignature", "X-Amz-Date is not a date.", 400) from None
    if signature.date != signature.at[:8]:
        raise RequestRefusedError(
            "SignatureDoesNotMatch", "Date in Credential scope does not match X-Amz-Date"
        )
    skew = S3_SKEW if signature.service == "s3" else SKEW
    latest = skew if signature.expires is None else timedelta(seconds=signature.expires)
    if -skew <= now - at <= latest:
        return
    if signature.expires is not None and now > at:
        raise RequestRefusedError("AccessDenied", "Request has expired")
    if signature.service == "s3":
        sentence = "The difference between the request time and the current time is too large."
        raise RequestRefusedError("RequestTimeTooSkewed", sentence)
    when = "expired" if now > at else "not yet current"
    raise RequestRefusedError("SignatureDoesNotMatch", f"Signature {when}: {signature.at}")


def payload_hash(request: HttpRequest, signature: Signature) -> str | None:
    """The payload hash that the signature covers; None if it is the body's SHA-256 and the request
    does not state it.
    """
    claimed_hash = request.value("x-amz-content-sha256")
    if signature.expires is not None and signature.service == "s3":
        return claimed_hash or UNSIGNED
    if not claimed_hash and signature.service == "s3":
        sentence = "Missing required header for this request: x-amz-content-sha256"
        raise RequestRefusedError("InvalidRequest", sentence, 400)
    return claimed_hash or None


def check(request: HttpRequest, signature: Signature, secret: str, payload: str) -> None:
    """Raises RequestRefusedError if the signature was not made with `secret` for this request."""
    if not hmac.compare_digest(
        expected(request, signature, secret, payload).encode(), signature.value.encode()
    ):
        raise RequestRefusedError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )


def expected(request: HttpRequest, signature: Signature, secret: str, payload: str) -> str:
    canonical = b"\n".join(
        (
            request.method.encode(),
            _canonical_path(request.path, signature.service),
            _canonical_query(request),
            *(_canonical_header(request, name) for name in signature.signed_headers),
            b"",
            ";".join(signature.signed_headers).encode(),
            payload.encode(),
        )
    )
    digest = hashlib.sha256(canonical).hexdigest()
    to_sign = "\n".join((ALGORITHM, signature.at, signature.scope, digest))
    return _hmac(signing_key(secret, signature), to_sign).hex()


def signing_key(secret: str, signature: Signature) -> bytes:
    return _signing_key(secret, signature.date, signature.region, signature.service)


class BodyCheck(Protocol):
    """Verifies a body in constant memory. Both methods raise RequestRefusedError."""

    def update(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class AnyBody:
    """For a signature that does not cover the body."""

    def update(self, data: bytes) -> None:
        pass

    def finish(self) -> None:
        pass


class HashedBody:
    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._hash = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def finish(self) -> None:
        if self._hash.hexdigest() != self._expected:
            raise RequestRefusedError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                400,
            )


class ChunkedBody:
    """Verifies aws-chunked encoding with a signature in each chunk's header, computed from the
    previous one.
    """

    HEADER = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})")

    def __init__(self, signature: Signature, secret: str, has_trailer: bool) -> None:
        self._key = signing_key(secret, signature)
        self._about = f"{signature.at}\n{signature.scope}"
        self._previous = signature.value
        self._has_trailer = has_trailer
        self._line = b""
        self._left = 0
        """Bytes of the current chunk that have not arrived yet."""
        self._chunk: str | None = None
        """The signature of the current chunk."""
        self._hash = hashlib.sha256()
        self._is_last = self._is_over = False

    def update(self, data: bytes) -> None:
        while data:
            if self._left:
                taken, data = data[: self._left], data[self._left :]
                self._hash.update(taken)
                self._left -= len(taken)
                continue
            line, end, rest = (self._line + data).partition(b"\r\n")
            if len(line) > LINE_BYTES:
                raise _mismatch("a line is too long")
            self._line, data = (b"", rest) if end else (line, b"")
            if end:
                self._take(line)

    def finish(self) -> None:
        if not self._is_over or self._line:
            raise _mismatch("it ends before its last chunk")

    def _take(self, line: bytes) -> None:
        if self._is_over:
            raise _mismatch("something follows its end")
        if self._is_last:
            self._take_trailer(line)
        elif self._chunk is not None:
            if line:
                raise _mismatch("a chunk is longer than it says")
            self._end_chunk(self._chunk)
        else:
            header = self.HEADER.fullmatch(line)
            if header is None:
                raise _mismatch("a chunk has no signature")
            self._left, self._chunk = int(header[1], 16), header[2].decode()
            if not self._left:
                self._is_last = True
                self._end_chunk(self._chunk)

    def _end_chunk(self, signature: str) -> None:
        hashes = (EMPTY, self._hash.hexdigest())
        self._follow("AWS4-HMAC-SHA256-PAYLOAD", signature, *hashes)
        self._chunk, self._hash = None, hashlib.sha256()

    def _take_trailer(self, line: bytes) -> None:
        """Process a line of the trailer: lines `name:value`, the last one with their signature,
        then an empty line.
        """
        name, _, value = line.partition(b":")
        if name == b"x-amz-trailer-signature" and self._has_trailer:
            signature = value.decode("latin-1").strip()
            self._follow("AWS4-HMAC-SHA256-TRAILER", signature, self._hash.hexdigest())
            self._has_trailer = False
        elif bool(line) != self._has_trailer:
            raise _mismatch("its trailer is not signed")
        elif line:
            self._hash.update(name.lower() + b":" + value.strip() + b"\n")
        else:
            self._is_over = True

    def _follow(self, what: str, signature: str, *hashes: str) -> None:
        to_sign = "\n".join((what, self._about, self._previous, *hashes))
        if not hmac.compare_digest(_hmac(self._key, to_sign).hex().encode(), signature.encode()):
            raise _mismatch("a chunk was signed with another key, or changed on its way")
        self._previous = signature


def body_check(signature: Signature, secret: str, payload: str) -> BodyCheck:
    """The check for this payload hash. Raises RequestRefusedError if it is none of AWS's values."""
    of_s3 = signature.service == "s3"
    if re.fullmatch("[0-9a-f]{64}", payload):
        return HashedBody(payload)
    if of_s3 and payload in (UNSIGNED, UNSIGNED_CHUNKS):
        return AnyBody()
    if of_s3 and payload in (SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER):
        return ChunkedBody(signature, secret, payload == SIGNED_CHUNKS_AND_TRAILER)
    sentence = f"x-amz-content-sha256 must be {UNSIGNED}, {SIGNED_CHUNKS} or a valid sha256 value."
    raise RequestRefusedError("InvalidArgument", sentence, 400)


def _of_header(request: HttpRequest, header: str) -> Signature:
    parts = (part.strip().partition("=") for part in header.removeprefix(ALGORITHM).split(","))
    return _signature(
        {name: value for name, _, value in parts},
        request.value("x-amz-date"),
        request.value("x-amz-security-token"),
        None,
    )


def _of_query(request: HttpRequest) -> Signature:
    parameters: dict[str, str] = {}
    for name, value in request.fields:
        if name.lower().startswith(b"x-amz-"):
            key = name.decode("latin-1").removeprefix("X-Amz-")
            if key in parameters:
                raise RequestRefusedError(
                    "IncompleteSignature", f"There are several {key} in the query.", 400
                )
            parameters[key] = value.decode("latin-1")
    seconds = parameters.get("Expires", "300")
    if (
        parameters.get("Algorithm") != ALGORITHM
        or not (seconds.isascii() and seconds.isdigit())
        or not 0 < int(seconds[:9]) <= LONGEST_PRESIGN_SECONDS
    ):
        raise RequestRefusedError(
            "IncompleteSignature", "X-Amz-Algorithm or X-Amz-Expires is not valid.", 400
        )
    token = parameters.get("Security-Token", "")
    return _signature(parameters, parameters.get("Date", ""), token, int(seconds))


def _signature(fields: dict[str, str], at: str, token: str, expires: int | None) -> Signature:
    missing = [
        name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)
    ]
    scope = fields.get("Credential", "").rsplit("/", 4)
    if missing or not at or len(scope) != 5 or scope[4] != TERMINATOR:
        what = ", ".join(missing) or ("X-Amz-Date" if not at else "a valid credential scope")
        raise RequestRefusedError("IncompleteSignature", f"The signature lacks {what}.", 400)
    names = tuple(fields["SignedHeaders"].split(";"))
    key_id, date, region, service, _ = scope
    return Signature(key_id, date, region, service, names, fields["Signature"], at, token, expires)


def _check_signed_headers(request: HttpRequest, signature: Signature) -> None:
    """Require that the host and all `x-amz-` headers of the request are signed, as AWS does."""
    header_names = {name.decode("latin-1") for name, _ in request.headers}
    needed = {name for name in header_names if name.startswith("x-amz-")} | {"host"}
    if not needed <= set(signature.signed_headers):
        names = ", ".join(sorted(needed - set(signature.signed_headers)))
        raise RequestRefusedError("AccessDenied", f"Headers of the request are not signed: {names}")


def _canonical_path(path: bytes, service: str) -> bytes:
    """The path for the canonical request: S3 keys as sent, encoded once; for other services
    normalized and encoded again.
    """
    segments: Iterable[bytes] = path.split(b"/")
    if service == "s3":
        return b"/".join(_encoded(unquote_to_bytes(segment)) for segment in segments)
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(_encoded(segment))
    return b"/" + b"/".join(kept) + (b"/" if kept and path.endswith(b"/") else b"")


def _canonical_query(request: HttpRequest) -> bytes:
    pairs = [(_encoded(name), _encoded(value)) for name, value in request.fields]
    return b"&".join(
        name + b"=" + value for name, value in sorted(pairs) if name != b"X-Amz-Signature"
    )


def _canonical_header(request: HttpRequest, name: str) -> bytes:
    values = (b" ".join(value.split()) for value in request.values(name))
    return name.encode() + b":" + b",".join(values)


def _decoded(part: bytes) -> bytes:
    return unquote_to_bytes(part.replace(b"+", b" "))


def _encoded(part: bytes) -> bytes:
    return quote(part, safe=UNRESERVED).encode()


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, TERMINATOR):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _mismatch(why: str) -> RequestRefusedError:
    return RequestRefusedError(
        "SignatureDoesNotMatch", f"The chunked body does not match its signature: {why}"
    )
