"""Start ministack, with its interpreter in its own environment.

It changes behaviour of ministack for which there is no setting, so that templates, rules and roles
are those of production; ministack's exact pin makes that safe. First come changes of behaviour,
then access control.
"""

import hashlib
import hmac
import json
import os
import re
import sys
import time
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime, responses
from ministack.services import eventbridge, iam, lambda_svc, sqs, sts

sys.path.append(str(Path(__file__).parents[2]))  # for this process only, not for the functions

from infra.local.access import guard, keys
from infra.local.access.guard import Credential, Guard
from infra.local.access.permissions import Answer, Authority, NotAssumable, Question, RoleKey
from infra.local.persistence.disk import DiskGuard
from infra.local.persistence.emulator_state import EmulatorState, Saver

ACCOUNT = "000000000000"
KEY_ID = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]

# The local SageMaker sends events with the source `aws.sagemaker`, as AWS does.
eventbridge._put_events.__defaults__ = (True,)

# Store queues under a name without the port, so that they are found when the cloud restarts on
# another port. Clients always get the address that they called.
sqs.DEFAULT_HOST, sqs.DEFAULT_PORT = "localhost", "4566"
sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}"

# Plain HTTP on this machine counts as TLS for policies …
pin_request_origin = app.pin_request_origin
app.pin_request_origin = lambda address, _secure: pin_request_origin(address, True)

# … and `*` in a policy matches any character, including a line break in a key.
compiled = iam_evaluator._fnmatch_compile


@cache
def compiled_with_line_breaks(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    resolved = compiled(pattern, ignore_case)
    return re.compile(resolved.pattern, resolved.flags | re.DOTALL)


iam_evaluator._fnmatch_compile = compiled_with_line_breaks


def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
    """The credentials of a function: its role's. ministack's own could be computed from the
    function's name.
    """
    session = config.get("FunctionName", "function")[:64]
    about = f"{config['FunctionArn']}:{config.get('Role', '')}"
    key = role_key(config.get("Role", ""), session, about)
    return {
        "AWS_ACCESS_KEY_ID": key.key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": key.token,
    }


def role_key(role_arn: str, session: str, about: str) -> RoleKey:
    """Temporary credentials of the role. The same `about` gives the same credentials."""
    key_id, secret, token = (
        hmac.new(SECRET.encode(), f"{what}:{about}".encode(), hashlib.sha256).hexdigest()
        for what in ("key", "secret", "token")
    )
    key_id = f"ASIA{key_id[:16].upper()}"
    role = role_arn.rpartition("/")[2]
    temporary = {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
        "UserId": f"{role}:{session}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key_id, temporary)
    return RoleKey(key_id, secret, token)


lambda_runtime.execution_credentials = execution_credentials
lambda_svc.execution_credentials = execution_credentials

invalidate_worker = lambda_runtime.invalidate_worker
RETIRED_POLL_SECONDS = 0.05


def retire_workers(name: str, *scope: Any, **named: Any) -> None:
    """An invocation of the function goes on to its end, as on Lambda, when its code is replaced:
    ministack kills it, and its messages would be hidden until their visibility timeout is over.
    """
    with lambda_runtime._lock:
        pools = [pool for key, pool in lambda_runtime._workers.items() if f":{name}:" in key]
        busy = [worker for pool in pools for worker in pool if worker.in_use]
        for pool in pools:
            pool[:] = [worker for worker in pool if not worker.in_use]
    invalidate_worker(name, *scope, **named)
    for worker in busy:  # as many as invocations run at once, each until its function's timeout
        Thread(target=end_when_idle, args=(worker,), daemon=True).start()


def end_when_idle(worker: Any) -> None:
    while worker.in_use:
        time.sleep(RETIRED_POLL_SECONDS)
    worker.kill()


lambda_runtime.invalidate_worker = retire_workers
lambda_svc.invalidate_worker = retire_workers

UNVERIFIED_BYTES = 70 * 1024 * 1024
"""A function's archive of 50 MB in base64 is the largest request that does not state its hash."""


def resolve(key_id: str) -> Credential:
    """The credential of an access key. Raises RequestRefusedError for an unknown one; ministack
    itself accepts `test` and account ids as the owner's key.
    """
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


def assume(role_arn: str, service: str) -> RoleKey:
    """Credentials of the role, if its trust policy admits the service for this account's resources.

    Raises NotAssumable. aws:SourceAccount is described in
    docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html.
    """
    role = iam._roles.get_scoped(ACCOUNT, None, role_arn.rpartition("/")[2])
    if role is None or role["Arn"] != role_arn:
        raise NotAssumable(role_arn)
    context = _context(role_arn, "sts:AssumeRole", role_arn, {"aws:sourceaccount": ACCOUNT})
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    statements = document["Statement"]
    statements = [statements] if isinstance(statements, dict) else statements
    trusting = [
        statement["Effect"]
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), service)
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
    ]
    if set(trusting) != {"Allow"}:
        raise NotAssumable(role_arn)
    return role_key(role_arn, "SageMaker", f"{service}:{role_arn}")


def decide(question: Question) -> Answer:
    if question.who == KEY_ID:
        return Answer(True, f"arn:aws:iam::{ACCOUNT}:root")
    if question.who.startswith("arn:"):
        role = question.who.rpartition("/")[2]
        principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/SageMaker"
        policies = iam_evaluator._gather_role_policies(role, ACCOUNT)
    else:
        caller = iam_evaluator.resolve_principal(question.who, ACCOUNT)
        if isinstance(caller, iam_evaluator.AuthError):
            return Answer(False, question.who)
        if caller.policies is None:
            return Answer(True, caller.arn)
        principal, policies = caller.arn, caller.policies
    _refuse_unknown_operators(policies)
    context = _context(principal, question.action, question.resource, dict(question.context))
    return Answer(iam_evaluator.evaluate(context, policies).decision == "Allow", principal)


def _refuse_unknown_operators(policies: list[list[Any]]) -> None:
    """Reject condition operators that ministack does not know: it ignores a Deny with such a
    condition.
    """
    for statement in (statement for document in policies for statement in document):
        for operator in statement.conditions:
            plain = operator.lower().removesuffix("ifexists").rpartition(":")[2]
            if plain != "null" and plain not in iam_evaluator._CONDITION_OPS:
                raise ValueError(f"statement {statement.sid}: what is {operator}?")


def _context(principal: str, action: str, resource: str, of_service: dict[str, str]) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=os.environ["MINISTACK_REGION"],
        secure_transport=True,
        service_context=of_service,
    )


FOLDER = Path(os.environ["STATE_DIR"])
state = EmulatorState(FOLDER)
state.install()
application = keys.serve_keys(KEY_ID, resolve, Saver(DiskGuard(app.app, FOLDER), state, KEY_ID))
app.app = Guard(
    Authority(decide, assume).serve(KEY_ID, application),
    int(os.environ["GATEWAY_PORT"]),
    find,
    UNVERIFIED_BYTES,
    buckets=True,
)
app.main()
