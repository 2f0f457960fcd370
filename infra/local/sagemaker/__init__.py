"""SageMaker on one laptop: its JSON API and runtime on a loopback port, processes for containers.

The rooms, in the order a request meets them:

(guard)     infra/local/access/guard.py: signed, and from a program on this machine
app         HTTP: JSON 1.1 operations on POST /, invocations on POST /endpoints/NAME/invocations
shapes      requests held to botocore's own service model; answers cut to it
operations  the table of operations; each kind of resource brings its own rows
models, endpoint_configs, endpoints, transform_jobs, training_jobs, tuning_jobs,
model_packages, tags
            the resources, kept as AWS describes them (store, kinds, listing)
runtime     an invocation: the endpoint's live variant answers, or AWS's error does
variant     one container behind an endpoint, restarted when it dies
transform   one batch job: objects (inputs) through a container to S3
training    one training job: channels from S3 (transfers), a folder for /opt/ml (training_folder),
            its log with the metrics in it (job_log), model and checkpoints to S3
tuning      a search: training jobs (tuning_jobs) with values (tuning_search) from ranges
            (tuning_ranges), until tuning_decision has seen enough (tuning_records, tuning_trials)
containers  an image's command, a model archive (archive) and a port: started, ready, stopped

What it costs: one process a variant and a job, all records in memory and a small file each.
Everything runs on one event loop, so records need no locks; only S3 and disk go to threads.
"""
