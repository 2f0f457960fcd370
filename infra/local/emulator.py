"""Starts ministack; runs on its interpreter, in its own environment.

What no setting of ministack says, and its exact pin makes safe to say here, so that templates,
rules and roles stay those of production: first what it would do otherwise, then who may ask it.
"""

import hashlib
import hmac
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime, responses
from ministack.services import eventbridge, lambda_svc, sqs, sts

sys.path.append(str(Path(__file__).parents[2]))  # of this process alone, not of the functions

from infra.local.access import guard, keys
from infra.local.access.guard import Credential, Guard

KEY_ID = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]

# Our SageMaker sends events whose source is `aws.sagemaker`, as AWS's does.
eventbridge._put_events.__defaults__ = (True,)

# Queues are known by a name without the port, so that they are found again when the cloud comes
# back on another port. Callers get the address they called in any case.
sqs.DEFAULT_HOST, sqs.DEFAULT_PORT = "localhost", "4566"
sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}"

# Where roles are enforced, plain HTTP that never leaves this machine counts as TLS does …
pin_request_origin = app.pin_request_origin
app.pin_request_origin = lambda address, _secure: pin_request_origin(address, True)

# … and `*` in a policy matches any character, also the line break of an odd key.
compiled = iam_evaluator._fnmatch_compile


@cache
def compiled_with_line_breaks(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    resolved = compiled(pattern, ignore_case)
    return re.compile(resolved.pattern, resolved.flags | re.DOTALL)


iam_evaluator._fnmatch_compile = compiled_with_line_breaks


def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
    """A function's: its role's where roles are enforced, the owner's otherwise.

    ministack's can be computed from the function's name.
    """
    if not app.AUTH:
        return _in_environment(KEY_ID, SECRET, "")
    role = config.get("Role", "").rpartition("/")[2]
    session = config.get("FunctionName", "function")[:64]
    about = f"{config['FunctionArn']}:{config.get('Role', '')}"
    key_id, secret, token = (
        hmac.new(SECRET.encode(), f"{what}:{about}".encode(), hashlib.sha256).hexdigest()
        for what in ("key", "secret", "token")
    )
    key_id = f"ASIA{key_id[:16].upper()}"
    account = config["FunctionArn"].split(":")[4]
    temporary = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "UserId": f"{role}:{session}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key_id, temporary)
    return _in_environment(key_id, secret, token)


def _in_environment(key_id: str, secret: str, token: str) -> dict[str, str]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return dict(zip(names, (key_id, secret, token), strict=True))


lambda_runtime.execution_credentials = execution_credentials
lambda_svc.execution_credentials = execution_credentials

UNVERIFIED_BYTES = 70 * 1024 * 1024
"""A function's archive of 50 MB in base64 is the largest request that does not tell its hash."""


def resolve(key_id: str) -> Credential:
    """Raises Refused. ministack itself takes `test` and account ids for the owner's key."""
    if key_id == KEY_ID:
        return Credential(SECRET)
    if iam_evaluator.is_root_access_key(key_id):
        raise guard.unknown_key()
    account = responses._account_from_sts_session(key_id)
    account = account or iam_evaluator.find_iam_access_key_account(key_id)
    resolved = iam_evaluator.resolve_credential(key_id, account)
    if isinstance(resolved, iam_evaluator.CredentialResolutionError):
        raise guard.unknown_key()
    return Credential(resolved.secret_access_key, resolved.session_token or "")


async def find(key_id: str) -> Credential:
    return resolve(key_id)


app.app = Guard(
    keys.serve_keys(KEY_ID, resolve, app.app),
    int(os.environ["GATEWAY_PORT"]),
    find,
    UNVERIFIED_BYTES,
    buckets=True,
)
app.main()
