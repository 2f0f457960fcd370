"""Two different contents with one MD5, and so with one ETag: a pair that was published in 2004."""

from hashlib import md5

_FIRST = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
_DIFFERENCES = (19, 45, 59, 83, 109, 123)
"""Bytes that differ, in their highest bit alone."""

ONE = bytes.fromhex(_FIRST)
OTHER = bytes(byte ^ 0x80 if at in _DIFFERENCES else byte for at, byte in enumerate(ONE))
assert ONE != OTHER
assert md5(ONE, usedforsecurity=False).digest() == md5(OTHER, usedforsecurity=False).digest()
