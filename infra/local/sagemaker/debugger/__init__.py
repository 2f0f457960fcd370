"""SageMaker's managed Debugger beside a training job, as the local SageMaker runs it.

AWS does not offer it to new customers. This folder and `training/managed_debugger/` can be deleted:
docs/reference/training.md, "Remove the managed Debugger", lists what else goes.
"""
