"""CloudFormation as the removal of a stage sees it."""

from typing import Any

from tests.support.fakes.aws import error


class FakeStacks:
    """Part of a fake account, whose `stacks` holds the names of complete stacks."""

    stacks: set[str]

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        if StackName not in self.stacks:
            missing = error("DescribeStacks", 400, "ValidationError")
            missing.response["Error"]["Message"] = f"Stack {StackName} does not exist"
            raise missing
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}

    def delete_stack(self, *, StackName: str) -> None:
        self.stacks.remove(StackName)
