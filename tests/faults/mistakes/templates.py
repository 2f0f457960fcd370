"""Faults planted in the templates and the installers, each with the tests that have to find it."""

from tests.faults.mistakes.product import UNIT, Mistake

SERVERLESS = "serverless.yml"
STORAGE = "infra/stacks/storage.yml"
QUEUES = "infra/stacks/queues.yml"
ROLES = "infra/stacks/roles.yml"
ALARMS = "infra/stacks/alarms.yml"
DASHBOARD = "infra/stacks/dashboard.yml"
IMAGE = "infra/stacks/image.yml"

OURS = f"{UNIT}/infra/stacks/test_template.py"
OF_STORAGE = f"{UNIT}/infra/stacks/test_template_storage.py"
OF_ROLES = f"{UNIT}/infra/stacks/test_template_roles.py"
OF_IMAGE = f"{UNIT}/infra/stacks/test_template_image.py"
OF_BUILD = f"{UNIT}/infra/stacks/test_image_build.py"
OF_KEY = f"{UNIT}/infra/stacks/test_template_key.py"
OF_ALARMS = f"{UNIT}/infra/stacks/watch/test_alarms.py"
OF_DASHBOARD = f"{UNIT}/infra/stacks/watch/test_dashboard.py"
OF_LOCKS = f"{UNIT}/infra/setup/test_locks.py"

_PLANTED = (
    (
        "an alarm wakes somebody and names a section that does not exist",
        ALARMS,
        "See docs/how-to/alarms.md#retried\n",
        "See docs/how-to/alarms.md#retries\n",
        OF_ALARMS,
    ),
    (
        "the dashboard draws a metric under a dimension that nobody sends",
        DASHBOARD,
        '["Sortbox", "Retried", "service", "sortbox", "stage", "${sls:stage}"]',
        '["Sortbox", "Retried", "stage", "${sls:stage}"]',
        OF_DASHBOARD,
    ),
    (
        "the dashboard of another region is written over",
        DASHBOARD,
        'DashboardName: !Sub "sortbox-${sls:stage}-${AWS::Region}"',
        'DashboardName: !Sub "sortbox-${sls:stage}"',
        OF_DASHBOARD,
    ),
    (
        "plain HTTP is let in",
        STORAGE,
        'Condition: {Bool: {"aws:SecureTransport": "false"}}',
        'Condition: {Bool: {"aws:SecureTransport": "true"}}',
        OF_STORAGE,
    ),
    (
        "any bucket may fill the inbox queue",
        STORAGE,
        "              ArnEquals:\n"
        '                "aws:SourceArn": !Sub arn:${AWS::Partition}:s3:::sortbox-${Stage}'
        "-${AWS::AccountId}-${AWS::Region}\n",
        "",
        OF_STORAGE,
    ),
    (
        "any account may fill the inbox queue",
        STORAGE,
        '              StringEquals: {"aws:SourceAccount": !Ref AWS::AccountId}\n',
        "",
        OF_STORAGE,
    ),
    (
        "the bucket lets the public in",
        STORAGE,
        "        RestrictPublicBuckets: true\n",
        "",
        OF_STORAGE,
    ),
    (
        "versions are not kept",
        STORAGE,
        "VersioningConfiguration: {Status: Enabled}",
        "VersioningConfiguration: {Status: Suspended}",
        OF_STORAGE,
    ),
    (
        "the outbox notifies the inbox",
        STORAGE,
        "          - Event: s3:ObjectRemoved:*\n"
        "            Queue: !GetAtt InboxQueue.Arn\n"
        "            Filter: {S3Key: {Rules: [{Name: prefix, Value: inbox/}]}}\n",
        "          - Event: s3:ObjectRemoved:*\n"
        "            Queue: !GetAtt InboxQueue.Arn\n"
        "            Filter: {S3Key: {Rules: [{Name: prefix, Value: outbox/}]}}\n",
        OF_STORAGE,
    ),
    (
        "nobody is told what a lifecycle rule removes",
        STORAGE,
        "          - Event: s3:LifecycleExpiration:*\n",
        "          - Event: s3:LifecycleTransition\n",
        OF_STORAGE,
    ),
    (
        "images expire",
        STORAGE,
        "            Prefix: work/\n",
        "            Prefix: inbox/\n",
        OF_STORAGE,
    ),
    (
        "the bucket goes with its stack",
        STORAGE,
        "  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: RetainExceptOnCreate\n",
        "  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n",
        OF_STORAGE,
    ),
    (
        "messages come back while they are worked on",
        QUEUES,
        "      VisibilityTimeout: 1800 # 6x onPage's timeout",
        "      VisibilityTimeout: 300",
        OURS,
    ),
    (
        "a message fails three times and is dead",
        QUEUES,
        "RedrivePolicy: {deadLetterTargetArn: !GetAtt FolderDeadLetters.Arn, maxReceiveCount: 500}",
        "RedrivePolicy: {deadLetterTargetArn: !GetAtt FolderDeadLetters.Arn, maxReceiveCount: 3}",
        OURS,
    ),
    (
        "a queue is not encrypted",
        QUEUES,
        "      VisibilityTimeout: 2400 # 6x onFolder's timeout;"
        " 500 receives of it are less than the retention\n"
        "      MessageRetentionPeriod: 1209600\n"
        "      SqsManagedSseEnabled: !If [OwnKey, !Ref AWS::NoValue, true]\n",
        "      VisibilityTimeout: 2400\n      MessageRetentionPeriod: 1209600\n",
        OURS,
    ),
    (
        "any rule may fill the folder queue",
        QUEUES,
        '            Condition: {ArnEquals: {"aws:SourceArn": [!GetAtt JobEnded.Arn, '
        "!GetAtt TrainingEnded.Arn]}}\n",
        "",
        OURS,
    ),
    (
        "jobs of other stages reach this one",
        QUEUES,
        '          TransformJobName: [{prefix: "sortbox-${sls:stage}-"}]\n',
        '          TransformJobName: [{prefix: "sortbox-"}]\n',
        OURS,
    ),
    (
        "one bad message fails its whole batch",
        SERVERLESS,
        "InboxQueueArn\n          batchSize: 10\n"
        "          functionResponseType: ReportBatchItemFailures\n",
        "InboxQueueArn\n          batchSize: 10\n",
        OURS,
    ),
    (
        "nothing bounds how many uploads are taken at once",
        SERVERLESS,
        "          maximumConcurrency: ${param:uploadConcurrency}\n",
        "",
        OURS,
    ),
    (
        "a setting is missing",
        SERVERLESS,
        '      ENDPOINT_MAX_LATE: "${param:endpointMaxLate}"\n',
        "",
        OURS,
    ),
    (
        "a function writes wherever it likes",
        ROLES,
        "                  - !Sub ${self:custom.bucketArn}/work/beats/*\n"
        "                  - !Sub ${self:custom.bucketArn}/work/large/*",
        "                  - !Sub ${self:custom.bucketArn}/*\n"
        "                  - !Sub ${self:custom.bucketArn}/work/large/*",
        OF_ROLES,
    ),
    (
        "an action is a wildcard",
        ROLES,
        "                Action: [s3:PutObject, s3:DeleteObject]\n"
        "                Resource: !Sub ${self:custom.bucketArn}/outbox/*\n"
        "              - Sid: NoteBeats\n",
        "                Action: s3:*\n"
        "                Resource: !Sub ${self:custom.bucketArn}/outbox/*\n"
        "              - Sid: NoteBeats\n",
        OF_ROLES,
    ),
    (
        "a function passes roles",
        ROLES,
        "[sagemaker:CreateTransformJob, sagemaker:DescribeTransformJob,",
        "[iam:PassRole, sagemaker:CreateTransformJob, sagemaker:DescribeTransformJob,",
        OF_ROLES,
    ),
    (
        "SageMaker may not read the alarm that undoes an update",
        ROLES,
        "                Action: cloudwatch:DescribeAlarms\n",
        "                Action: cloudwatch:GetMetricData\n",
        OF_ROLES,
    ),
    (
        "promoting the active model leaves its endpoint as it is",
        "training/launch/promote.py",
        "return serve(context.stage, context.s3, context.sagemaker, before.id, image)\n",
        "return before\n",
        f"{UNIT}/training/launch/test_promote.py",
    ),
    (
        "the image is pushed with attestations, as an OCI index",
        IMAGE,
        "docker build --provenance=false --sbom=false --file",
        "docker build --file",
        OF_BUILD,
    ),
    (
        "of two builds of one tag the second fails",
        IMAGE,
        """'length(images)' --output text)"
                    [ "$there" = 1 ] &&""",
        """'length(images)' --output text)"
                    [ "$there" = 0 ] &&""",
        OF_BUILD,
    ),
    (
        "an image that SageMaker refuses is taken",
        "infra/stacks/image.py",
        "    if manifest != DOCKER_MANIFEST:\n",
        "    if not manifest:\n",
        OF_BUILD,
    ),
    (
        "an image stack that never came up is updated for ever",
        "infra/stacks/image.py",
        "if updatable_status(cloudformation, STACK) is None:",
        "if cloudformation.describe_stacks(StackName=STACK) is None:",
        f"{UNIT}/infra/stacks/test_stack_states.py",
    ),
    (
        "a stack that is being changed is changed",
        "infra/stacks/deploy.py",
        '    if status is not None and status.endswith("_IN_PROGRESS"):\n',
        '    if status == "IN_PROGRESS":\n',
        f"{UNIT}/infra/stacks/test_stack_states.py",
    ),
    (
        "messages that wait for hours tell nobody",
        ALARMS,
        "      MetricName: Retried\n",
        "      MetricName: Messages\n",
        OURS,
    ),
    (
        "a reason with a comma is refused once everything is uploaded",
        "infra/models/registry.py",
        "        name: value for name, text in lineage.items() if (value := metadata(text))\n",
        "        name: text[:VALUE] for name, text in lineage.items() if text\n",
        f"{UNIT}/infra/models/test_registry.py",
    ),
    (
        "versions of the pointer expire with those of the images",
        STORAGE,
        "            Prefix: inbox/\n            NoncurrentVersionExpiration",
        '            Prefix: ""\n            NoncurrentVersionExpiration',
        OF_STORAGE,
    ),
    (
        "images that models name expire",
        IMAGE,
        '"tagStatus": "untagged", "countType": "sinceImagePushed"',
        '"tagStatus": "any", "countType": "sinceImagePushed"',
        OF_IMAGE,
    ),
    (
        "the build may not look where its sources' bucket is",
        IMAGE,
        "Action: [s3:GetBucketLocation, s3:ListBucket]",
        "Action: [s3:ListBucket]",
        OF_IMAGE,
    ),
    (
        "Lambda cuts a busy folder off",
        QUEUES,
        "  OnPageLambdaFunction: {Properties: {RecursiveLoop: Allow}}\n",
        "",
        OURS,
    ),
    (
        "no capacity for a job fails its folder",
        "batch/jobs/transform.py",
        "    return failure.startswith(PASSING_FAILURES)\n",
        "    return False\n",
        f"{UNIT}/batch/test_run_trouble.py",
    ),
    (
        "the stack goes before the bucket that it knows of",
        "infra/stacks/remove.py",
        "    if bucket is not None:\n        _empty(s3, bucket)\n",
        "    _delete_stack(cloudformation, stage.storage_stack)\n"
        "    if bucket is not None:\n        _empty(s3, bucket)\n",
        f"{UNIT}/infra/stacks/test_remove.py",
    ),
    (
        "a quota of one machine passes for two",
        "infra/quotas.py",
        "ENDPOINT_MACHINES = 2\n",
        "ENDPOINT_MACHINES = 1\n",
        f"{UNIT}/infra/diagnostics/test_doctor.py",
    ),
    (
        "an account that reserves its functions' turns is taken for one that does not",
        "infra/diagnostics/doctor.py",
        '    limit = limits.get("UnreservedConcurrentExecutions", everything)\n',
        "    limit = everything\n",
        f"{UNIT}/infra/diagnostics/test_doctor.py",
    ),
    (
        "an endpoint that is busy says so with a status that undoes an update",
        "serving/app.py",
        "BUSY_STATUS = 429\n",
        "BUSY_STATUS = 503\n",
        f"{UNIT}/serving/test_app.py",
    ),
    (
        "an alarm that rings already undoes the rollback that mends it",
        "infra/models/endpoint.py",
        "    if stage.is_endpoint_alarm_ringing():\n",
        "    if False:\n",
        f"{UNIT}/infra/models/test_activate.py",
    ),
    (
        "jobs of another stage are stopped",
        "infra/stacks/remove.py",
        "    return [name for name in names if name.startswith(stage.prefix)]\n",
        "    return list(names)\n",
        f"{UNIT}/infra/stacks/test_remove.py",
    ),
    (
        "logs of the account's other jobs are given an end",
        "infra/stacks/log_groups.py",
        "        if _create(logs, group):\n            _keep(logs, group)\n",
        "        _create(logs, group)\n        _keep(logs, group)\n",
        f"{UNIT}/infra/stacks/test_log_groups.py",
    ),
    (
        "a queue's minute counts from when its deletion was asked for",
        "infra/stacks/queue_names.py",
        "    return max(event",
        "    return min(event",
        f"{UNIT}/infra/stacks/test_queue_names.py",
    ),
    (
        "a stage's functions take more turns than a new account has",
        SERVERLESS,
        "    uploadConcurrency: 3 #",
        "    uploadConcurrency: 4 #",
        OURS,
    ),
    (
        "an endpoint that a quota refuses ends in a traceback",
        "infra/models/endpoint.py",
        "        raise EndpointError(quotas.refusal(error)) from error\n",
        "        raise\n",
        f"{UNIT}/infra/models/test_activate.py",
    ),
    (
        "dead letters tell nobody",
        ALARMS,
        "      MetricName: ApproximateNumberOfMessagesVisible\n",
        "      MetricName: ApproximateNumberOfMessagesDelayed\n",
        OURS,
    ),
    (
        "claims expire with the files of runs",
        "infra/stacks/storage.yml",
        "            Prefix: work/runs/\n",
        "            Prefix: work/\n",
        "tests/unit/infra/stacks/test_template_storage.py",
    ),
    (
        "a queue stays outside the customer's key",
        QUEUES,
        "      VisibilityTimeout: 1800 # 6x onPage's timeout\n"
        "      MessageRetentionPeriod: 1209600\n"
        "      SqsManagedSseEnabled: !If [OwnKey, !Ref AWS::NoValue, true]\n"
        "      KmsMasterKeyId: !If [OwnKey, !Ref KmsKey, !Ref AWS::NoValue]\n",
        "      VisibilityTimeout: 1800 # 6x onPage's timeout\n"
        "      MessageRetentionPeriod: 1209600\n"
        "      SqsManagedSseEnabled: true\n",
        OF_KEY,
    ),
    (
        "a role may hand the customer's key on",
        "infra/stacks/encryption.yml",
        '            Condition: {Bool: {"kms:GrantIsForAWSResource": "true"}}\n',
        "",
        OF_KEY,
    ),
    (
        "a deployment that forgets the key takes it away",
        "infra/stacks/deploy.py",
        "    key = requested or (written if written != NO_KEY else deployed)\n",
        "    key = requested or written\n",
        f"{UNIT}/infra/stacks/test_deploy_key.py",
    ),
    (
        "a transform's output is left to the account's key",
        "batch/jobs/transform.py",
        '        arguments["TransformOutput"]["KmsKeyId"] = request.resources.kms_key\n',
        "",
        f"{UNIT}/batch/jobs/test_transform.py",
    ),
    (
        "the environment is installed without its hashes",
        "infra/setup/environments.py",
        '    sync = [uv, "pip", "sync", *quiet, "--require-hashes"]\n',
        '    sync = [uv, "pip", "sync", *quiet]\n',
        OF_LOCKS,
    ),
    (
        "the image is built without its hashes",
        "infra/container/Dockerfile",
        '        --require-hashes --no-deps --only-binary :all: --requirement "$VARIANT.txt"',
        '        --no-deps --only-binary :all: --requirement "$VARIANT.txt"',
        OF_LOCKS,
    ),
    (
        "the audit drops the proxy's certificate",
        "infra/audit/__main__.py",
        '"TMPDIR", "XDG_CACHE_HOME", *NETWORK_VARIABLES}',
        '"TMPDIR", "XDG_CACHE_HOME"}',
        f"{UNIT}/infra/audit/test_audit.py",
    ),
    (
        "what could not be asked about counts as clean",
        "infra/audit/__main__.py",
        "        return UNCHECKED if self.skipped or not self.clean else 0\n",
        "        return 0\n",
        f"{UNIT}/infra/audit/test_audit.py",
    ),
    (
        "a library with a build in its name is overlooked",
        "infra/audit/inventory.py",
        "(?P<name>[A-Za-z0-9_+]+)\\S*\\.so",
        "(?P<name>[A-Za-z0-9_+]+)(-[0-9a-f]{8})?\\.so",
        f"{UNIT}/infra/audit/test_inventory.py",
    ),
)
OF_THE_TEMPLATES = tuple(Mistake(*planted) for planted in _PLANTED)
