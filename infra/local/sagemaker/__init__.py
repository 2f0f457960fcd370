"""SageMaker on one laptop: its JSON API and runtime on a loopback port, processes for containers.

Packages, in the order in which a request meets them:

(guard)     infra/local/access/guard.py: signed, and from a program on this machine
app         HTTP: JSON 1.1 operations on POST /, invocations on POST /endpoints/NAME/invocations
core        requests checked against botocore's own service model (shapes), the table of operations,
            records as AWS describes them (store, resources, listing, tags), events
hosting     models, endpoint configurations, endpoints; the endpoint's live variant (variant), a
            container that is restarted when it exits, answers invocations (runtime)
registry    model package groups and their versions
transform   batch transform: objects (inputs) through a container to S3
training    training jobs: channels from S3, a folder for /opt/ml (folder), the log with its metrics
            (log), model and checkpoints to S3
debugger    the managed Debugger's rules beside a training job; this folder can be deleted
tuning      hyperparameter tuning: training jobs with values (search) from ranges (ranges), until
            decision ends the search; their scores and counters (trials)
containers  an image's command, a model archive and a port (containers); S3 transfers

What it costs: one process a variant and a job, all records in memory and a small file each.
Everything runs on one event loop, so records need no locks; only S3 and disk go to threads.
"""
