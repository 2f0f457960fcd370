"""Starts ministack; runs on its interpreter, in its own environment.

Two things that no setting of ministack says, and that its exact pin makes safe to say here:
our SageMaker may send events whose source is `aws.sagemaker`, as AWS's does, so that the rules are
the ones of production; and queues are known by a name without the port, so that they are found
again when the cloud comes back on another port. Callers get the address they called in any case.
"""

from ministack.app import main
from ministack.services import eventbridge, sqs

eventbridge._put_events.__defaults__ = (True,)
sqs.DEFAULT_HOST, sqs.DEFAULT_PORT = "localhost", "4566"
sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}"

main()
