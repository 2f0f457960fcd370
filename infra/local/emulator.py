"""Starts ministack; runs on its interpreter, in its own environment.

Four things that no setting of ministack says, and that its exact pin makes safe to say here, so
that templates, rules and roles stay those of production.
"""

import re
from functools import cache

from ministack import app
from ministack.core import iam_evaluator
from ministack.services import eventbridge, sqs

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
    found = compiled(pattern, ignore_case)
    return re.compile(found.pattern, found.flags | re.DOTALL)


iam_evaluator._fnmatch_compile = compiled_with_line_breaks

app.main()
