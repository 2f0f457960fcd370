"""Records which operations of AWS this process calls, whatever client calls them.

botocore's history recorder sees each API call before it is sent (botocore.client,
`_make_api_call`, event API_CALL), of every session and of the SageMaker SDK too.
"""

from collections.abc import Iterable

from botocore.history import BaseHistoryHandler, get_global_history_recorder

API_CALL = "API_CALL"


class CallRecorder(BaseHistoryHandler):
    """`operations`: names by botocore, such as `s3:PutObject`."""

    def __init__(self, operations: Iterable[str]) -> None:
        self.operations = set(operations)

    def emit(self, event_type: str, payload: dict[str, str], source: str) -> None:
        if event_type == API_CALL:
            self.operations.add(f"{payload['service']}:{payload['operation']}")


def start_recording(operations: Iterable[str] = ()) -> CallRecorder:
    """Record until this process ends. `operations` are those recorded earlier."""
    recorder, history = CallRecorder(operations), get_global_history_recorder()
    history.add_handler(recorder)
    history.enable()
    return recorder
