"""Mistakes that somebody might well make, each with the quickest test that has to catch it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`before` is in `file` once; `caught_by` are files, or tests in them as pytest names them."""

    name: str
    file: str
    before: str
    after: str
    caught_by: str


UNIT = "tests/unit"

OF_THE_PRODUCT = (
    Mistake(
        "a job is watched until AWS throttles",
        "training/launch/watch.py",
        """            description = patience.call(
                lambda: watch.sagemaker.describe_training_job(TrainingJobName=job)
            )
            if description""",
        """            description = watch.sagemaker.describe_training_job(TrainingJobName=job)
            if description""",
        f"{UNIT}/training/launch/test_watch.py",
    ),
    Mistake(
        "a lost connection is not of the errors that pass",
        "aws/errors.py",
        "    return isinstance(error, ConnectionError | HTTPClientError)\n",
        "    return False\n",
        f"{UNIT}/training/launch/test_watch.py",
    ),
    Mistake(
        "who waits for AWS asks again at regular times",
        "training/launch/patience.py",
        "longest * random.uniform(0.5, 1)",
        "longest",
        f"{UNIT}/training/launch/test_watch.py",
    ),
    Mistake(
        "a final fit that may have started is started again",
        "training/launch/tune.py",
        "        return is_of_creation and (is_throttled(error) or _is_limit(error))\n",
        "        return is_throttled(error) or _is_limit(error)\n",
        f"{UNIT}/training/launch/test_watch.py"
        "::test_a_final_fit_that_may_have_started_is_not_started_twice",
    ),
    Mistake(
        "the log of a job is that of its first machine",
        "training/launch/watch.py",
        'for page in pages for stream in page["logStreams"]]\n',
        'for page in pages for stream in page["logStreams"]][:1]\n',
        f"{UNIT}/training/launch/test_watch.py",
    ),
    Mistake(
        "an empty page is the end of a log",
        "training/launch/watch.py",
        '            if page["nextForwardToken"] == before:\n',
        '            if page["nextForwardToken"] == before or not page["events"]:\n',
        f"{UNIT}/training/launch/test_watch.py",
    ),
    Mistake(
        "images that fill a job's disk are copied all the same",
        "training/launch/input_channels.py",
        "        if self.volume_gb is not None and size * ROOM > self.volume_gb * 10**9:\n",
        "        if self.volume_gb is not None and size > 16_384 * 10**9:\n",
        f"{UNIT}/training/launch/test_s3_copy.py",
    ),
    Mistake(
        "the wait for a spot instance is as long as the job may be",
        "training/launch/limits.py",
        "min(hours, SPOT_WAIT_HOURS, LONGEST_HOURS - hours)",
        "hours",
        f"{UNIT}/training/launch/test_limits.py",
    ),
    Mistake(
        "the final fit is not counted in what a search costs",
        "training/launch/tune.py",
        "        jobs=jobs + 1,\n",
        "        jobs=jobs,\n",
        f"{UNIT}/training/launch/test_limits.py",
    ),
    Mistake(
        "a job's limit is left behind by its search",
        "training/launch/tune.py",
        "    fixed = replace(job, config=named.config, weights=named.weights)\n",
        "    fixed = named\n",
        f"{UNIT}/training/launch/test_limits.py",
    ),
    Mistake(
        "a job is given data that its role may not read",
        "training/launch/s3_copy.py",
        '    return source == bucket and key.startswith(keys.TRAINING) and "//" not in key\n',
        "    return source == bucket\n",
        f"{UNIT}/training/launch/test_s3_copy.py",
    ),
    Mistake(
        "an object that changed since it was counted is copied",
        "training/launch/s3_copy.py",
        "            CopySourceIfMatch=item.etag,\n",
        "",
        f"{UNIT}/training/launch/test_s3_copy.py",
    ),
    Mistake(
        "the copy's prefix does not depend on what the objects hold",
        "training/launch/s3_copy.py",
        r'{item.size}\0{item.etag}\n".encode()',
        r'{item.size}\n".encode()',
        f"{UNIT}/training/launch/test_s3_copy.py"
        "::test_data_that_changed_have_another_prefix_and_the_same_data_elsewhere_the_same",
    ),
    Mistake(
        "an acceptance run removes a bucket in which somebody has put images meanwhile",
        "infra/verify/stage_steps.py",
        "stored.body.decode() == run and all(item.key.startswith(prefix) for item in uploads)",
        "stored.body.decode() == run",
        f"{UNIT}/infra/verify/test_stage_steps.py",
    ),
    Mistake(
        "a report for an issue names the bucket, and so the account",
        "infra/verify/report.py",
        "document = redaction.document(report.document(prices))",
        "document = report.document(prices)",
        f"{UNIT}/infra/verify/test_report.py",
    ),
    Mistake(
        "the latest job is the first of a listing whose default order is ascending",
        "training/launch/candidate.py",
        '        SortOrder="Descending",\n',
        "",
        f"{UNIT}/training/launch/test_candidate.py",
    ),
    Mistake(
        "a listing ends with its first page",
        "infra/diagnostics/logs.py",
        'client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)',
        "[client.describe_log_groups(logGroupNamePrefix=prefix)]",
        f"{UNIT}/test_pagination.py",
    ),
    Mistake(
        "the members of an archive have one form of name",
        "domain/archive.py",
        'relative(name.removeprefix("./"))',
        "relative(name)",
        f"{UNIT}/training/launch/test_job.py"
        "::test_reports_are_found_however_the_archive_names_its_members",
    ),
    Mistake(
        "a model may have a name that no group of the registry can have",
        "training/config/train_config.py",
        'NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"',
        'NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,39}"',
        f"{UNIT}/training/config/test_train_config.py",
    ),
    Mistake(
        "int8 is kept by what was counted, however few photos counted it",
        "training/model/quantise.py",
        "return counted and paired.max_loss(photos) <= MAX_LOSS_BOUND",
        "return counted",
        f"{UNIT}/training/model/test_mcnemar.py",
    ),
    Mistake(
        "an endpoint that takes no such body is asked about each",
        "functions/endpoint/large.py",
        "                self._remember(image)\n",
        "                pass\n",
        f"{UNIT}/functions/endpoint/test_large.py",
    ),
    Mistake(
        "a body that does not reach the container is taken for its judgement",
        "functions/endpoint/classify.py",
        "        if len(content) > ENDPOINT_BYTES and is_too_large(error):\n            raise\n",
        "",
        f"{UNIT}/functions/endpoint/test_large.py",
    ),
    Mistake(
        "a model's container reaches the network",
        "infra/models/endpoint.py",
        "EnableNetworkIsolation=True,",
        "EnableNetworkIsolation=False,",
        f"{UNIT}/infra/models/test_activate.py",
    ),
    Mistake(
        "what judges a stranger's model may write files of any size",
        "training/evaluation/confined_process.py",
        "resource.RLIMIT_FSIZE: FILE_BYTES,",
        "resource.RLIMIT_FSIZE: resource.RLIM_INFINITY,",
        f"{UNIT}/training/evaluation/test_confined.py",
    ),
    Mistake(
        "what a judge says is shown as it says it",
        "training/evaluation/confined.py",
        "raise ModelLoadError(visible(sentence)[:500])",
        "raise ModelLoadError(sentence[:500])",
        f"{UNIT}/training/evaluation/test_confined.py",
    ),
    Mistake(
        "a link that lies in the folder of test images is followed",
        "training/launch/upload.py",
        "        if not stat.S_ISDIR((folder / above).lstat().st_mode):\n",
        "        if not stat.S_ISDIR((folder / above).stat().st_mode):\n",
        f"{UNIT}/training/launch/test_upload.py",
    ),
    Mistake(
        "a named pipe in a data set is opened and waited for",
        "serving/files.py",
        "os.open(path, flags | os.O_NONBLOCK)",
        "os.open(path, flags)",
        f"{UNIT}/training/launch/test_upload.py::test_a_pipe_is_never_waited_for",
    ),
    Mistake(
        "a decoder may take any time",
        "serving/decoding/decoder_process.py",
        "        signal.setitimer(signal.ITIMER_PROF, options.cpu_seconds)\n",
        "        signal.setitimer(signal.ITIMER_PROF, 0)\n",
        f"{UNIT}/serving/decoding/test_decoder_pool.py",
    ),
    Mistake(
        "scans are not counted before they are decoded",
        "serving/decoding/bounds.py",
        "    if scans > MAX_SCANS or scans * pixels > MAX_SCAN_PIXELS:\n",
        "    if scans > len(body):\n",
        f"{UNIT}/serving/decoding/test_bounds.py",
    ),
    Mistake(
        "a header may be of any length",
        "serving/protocol.py",
        "        if self._unparsed > self.head_bytes and",
        "        if self._unparsed < 0 and",
        f"{UNIT}/serving/test_protocol.py",
    ),
    Mistake(
        "who leaves the queue counts as an answer of the decoders",
        "serving/decoding/decoder_pool.py",
        "cancelled=done.cancelled()",
        "cancelled=False",
        f"{UNIT}/serving/decoding/test_decoder_pool.py",
    ),
    Mistake(
        "what a PNG's profiles unpack to is not counted",
        "serving/decoding/bounds.py",
        'PNG_PACKED = (b"zTXt", b"iTXt", b"iCCP")\n',
        'PNG_PACKED = (b"zTXt", b"iTXt")\n',
        f"{UNIT}/serving/decoding/test_bounds.py",
    ),
    Mistake(
        "who has gone is decoded for",
        "serving/decoding/decoder_pool.py",
        "                cancelled.set()  # a process that is decoding it is killed\n",
        "                pass\n",
        f"{UNIT}/serving/decoding/test_decoder_pool.py",
    ),
    Mistake(
        "a result is replaced without If-Match",
        "aws/bucket.py",
        """{"IfMatch": f'"{etag}"'} if etag else""",
        "{} if etag else",
        f"{UNIT}/functions/outbox/test_outbox_models.py",
    ),
    Mistake(
        "who comes while a run is worked on is forgotten",
        "functions/on_folder.py",
        "                again = lease.release(self.context, token, holder)\n",
        "                again = lease.release(self.context, token, holder) < 0\n",
        f"{UNIT}/batch/test_lease.py",
    ),
    Mistake(
        "a lease never ends",
        "batch/lease.py",
        "held is None or datetime.fromisoformat(held.until) <= context.now()",
        "held is None",
        f"{UNIT}/batch/test_lease.py",
    ),
    Mistake(
        "a lease is given back whoever holds it",
        "batch/lease.py",
        "        if held.holder != holder:\n            return False  #",
        "        if not held.holder:\n            return False  #",
        f"{UNIT}/batch/test_lease.py",
    ),
    Mistake(
        "the image is not looked at after the write",
        "functions/outbox.py",
        "if isinstance(now, Absent) or not now.source.version.is_same(image.source.version):\n",
        "if isinstance(now, str):\n",
        f"{UNIT}/functions/outbox/test_outbox.py {UNIT}/functions/outbox/test_outbox_orders.py",
    ),
    Mistake(
        "an image that came back while its answer was removed is left without one",
        "functions/outbox.py",
        "    return Gone() if isinstance(peek(outbox.s3, outbox.bucket, key), Absent)"
        " else Conflict()\n",
        "    return Gone()\n",
        "tests/faults/test_interleavings.py",
    ),
    Mistake(
        "a key that changes in every round is given up",
        "functions/outbox.py",
        """            return outcome
    raise ContendedError(""",
        """            return outcome
    return Current()
    raise ContendedError(""",
        f"{UNIT}/functions/outbox/test_outbox.py",
    ),
    Mistake(
        "an old model's answer is published and then queued again",
        "functions/outbox.py",
        "        outbox.look_again(image.key)\n",
        "        image.key.strip()\n",
        f"{UNIT}/functions/outbox/test_outbox_models.py",
    ),
    Mistake(
        "a rejection replaces labels",
        "functions/outbox.py",
        '    if isinstance(result, Rejected) and current.status == "classified":\n',
        '    if isinstance(result, Rejected) and current.status == "never":\n',
        f"{UNIT}/functions/outbox/test_outbox.py {UNIT}/functions/outbox/test_outbox_models.py",
    ),
    Mistake(
        "a message's trouble is swallowed",
        "functions/sqs.py",
        "        await asyncio.wrap_future(in_thread(self.accept, record))\n",
        "        await asyncio.wait([asyncio.wrap_future(in_thread(self.accept, record))])\n",
        f"{UNIT}/functions/test_sqs.py",
    ),
    Mistake(
        "a key is decoded twice",
        "functions/messages.py",
        "Changed(unquote_plus(key), ",
        "Changed(unquote_plus(unquote_plus(key)), ",
        f"{UNIT}/functions/test_messages.py",
    ),
    Mistake(
        "a claim is deleted before those who wait in it are told",
        "batch/claim.py",
        "        for path, kind, confirmed in claimed.run.waiting:\n"
        "            context.look_later(Scope(path, kind), confirmed)\n"
        "        if context.bucket.delete(claim_key(run.scope.token), claimed.etag):\n"
        "            return\n",
        "        if context.bucket.delete(claim_key(run.scope.token), claimed.etag):\n"
        "            for path, kind, confirmed in claimed.run.waiting:\n"
        "                context.look_later(Scope(path, kind), confirmed)\n"
        "            return\n",
        f"{UNIT}/batch/test_claim.py::test_the_claim_is_still_there_while_those_who_wait_are_told",
    ),
    Mistake(
        "a run looks at its claim before it looks at the file that it replaces",
        "batch/claim.py",
        "        head = bucket.head(key)\n        _read_own(bucket, run)\n",
        "        _read_own(bucket, run)\n        head = bucket.head(key)\n",
        f"{UNIT}/batch/test_claim.py"
        "::test_a_file_that_a_later_run_wrote_is_not_replaced_by_an_earlier_one",
    ),
    Mistake(
        "an open claim is any run's",
        "batch/claim.py",
        " or current.run.nonce != run.nonce:",
        ":",
        f"{UNIT}/batch/test_claim.py::test_a_run_that_is_over_writes_nothing_while_the_next_is_open",
    ),
    Mistake(
        "a page that is done already tells nobody",
        "functions/on_page.py",
        "        if self.bucket.head(done_key(ref)) is None:\n",
        "        if self.bucket.head(done_key(ref)):\n            return\n        else:\n",
        f"{UNIT}/functions/test_on_page.py::test_a_page_that_is_done_already_is_told_to_the_run_again",
    ),
    Mistake(
        "a sweep asks for what a folder's run is answering",
        "batch/planning/walk.py",
        " or self._has_live_run(image)",
        "",
        f"{UNIT}/batch/test_reclassify_manners.py::test_images_whose_folder_has_a_live_run_are_left_to_it",
    ),
    Mistake(
        "hidden folders are answered",
        "domain/route.py",
        "any(is_hidden(segment) for segment in folders)",
        "False",
        f"{UNIT}/domain/test_keys.py::test_nothing_in_a_hidden_folder_takes_a_road",
    ),
    Mistake(
        "everything that failed together is tried again together",
        "functions/sqs.py",
        "(0.5 + chance() / 2)",
        "1",
        f"{UNIT}/functions/test_sqs.py::test_messages_that_fail_together_do_not_come_again_together",
    ),
    Mistake(
        "a candidate that forgot a label passes for one with the same labels",
        "training/evaluation/promotion_gate.py",
        "None if new == old else",
        "None if new <= old else",
        f"{UNIT}/training/evaluation/test_promotion_gate.py::test_fewer_labels_or_more_are_other_labels",
    ),
    Mistake(
        "the pointer moves before the endpoint is up",
        "infra/models/activate.py",
        "        ensure_endpoint(sagemaker, stage, name)\n"
        "        if before.active is None or before.active.sagemaker_model != name:\n"
        "            active_model.move(s3, bucket, before, active, restores)\n",
        "        if before.active is None or before.active.sagemaker_model != name:\n"
        "            active_model.move(s3, bucket, before, active, restores)\n"
        "        ensure_endpoint(sagemaker, stage, name)\n",
        f"{UNIT}/infra/models/test_activate.py::test_the_pointer_moves_when_the_endpoint_is_up_and_not_before",
    ),
    Mistake(
        "the pointer is read after the endpoint is up",
        "infra/models/activate.py",
        "        ensure_endpoint(sagemaker, stage, name)\n",
        "        ensure_endpoint(sagemaker, stage, name)\n"
        "        before = active_model.read(s3, bucket)\n",
        f"{UNIT}/infra/models/test_activate.py"
        "::test_a_pointer_that_somebody_moves_while_the_endpoint_comes_up_stays_theirs",
    ),
    Mistake(
        "a lost race is a 412 only",
        "aws/errors.py",
        "in (404, 409, 412)",
        "== 412",
        f"{UNIT}/aws/test_active_model.py::test_a_lost_race_for_the_pointer_says_so",
    ),
    Mistake(
        "a key climbs out of a dataset's skeleton",
        "domain/file_names.py",
        'if any(part in ("", ".", "..") for part in parts):',
        'if any(part in ("", ".") for part in parts):',
        f"{UNIT}/training/launch/test_upload.py::test_a_key_that_climbs_out_of_its_dataset_makes_no_file",
    ),
    Mistake(
        "a file that was sent by halves is not sent again",
        "training/launch/upload.py",
        "        if existing.get(prefix + key) != (dataset.root / example.path).stat().st_size\n",
        "        if prefix + key not in existing\n",
        f"{UNIT}/training/launch/test_upload.py::test_what_was_sent_in_another_size_is_sent_again",
    ),
    Mistake(
        "an archive's file is measured after it was copied",
        "domain/archive.py",
        "        if member.size > limit:\n",
        "        write(member.name, content)\n        if member.size > limit:\n",
        f"{UNIT}/training/model/test_package.py"
        "::test_a_file_that_is_too_large_is_refused_before_a_byte_of_it_is_written",
    ),
    Mistake(
        "a result without a model's id counts as nobody's rejection",
        "functions/outbox.py",
        'details.get(MODEL_ID, "unknown")',
        'details.get(MODEL_ID, "")',
        f"{UNIT}/functions/outbox/test_outbox_models.py::test_a_result_that_does_not_say_its_model_is_renewed",
    ),
    Mistake(
        "two images of one MD5 share an answer",
        "domain/result.py",
        "            return self.id == other.id\n",
        "            return self.etag == other.etag\n",
        f"{UNIT}/functions/test_inbox.py"
        "::test_a_single_overwritten_by_other_bytes_of_its_md5_is_answered_anew",
    ),
    Mistake(
        "what denies every image rejects each",
        "functions/inbox.py",
        "(others is None or not others.are_readable(key))",
        "others is None",
        f"{UNIT}/batch/test_unreadable.py::test_what_denies_all_images_is_trouble_and_rejects_none",
    ),
    Mistake(
        "a tick asks every open run",
        "functions/on_schedule.py",
        "islice(_in_turn(bucket), RUNS_PER_TICK)",
        "_in_turn(bucket)",
        f"{UNIT}/functions/test_on_schedule.py::test_a_tick_reaches_so_many_runs_and_no_more",
    ),
    Mistake(
        "a tick asks more runs than it has time for",
        "functions/on_schedule.py",
        "RUNS_PER_TICK = 2_000",
        "RUNS_PER_TICK = 20_000",
        f"{UNIT}/functions/test_on_schedule.py::test_a_tick_has_time_for_the_runs_that_it_asks",
    ),
    Mistake(
        "a nine-letter stage has jobs",
        "domain/keys.py",
        "sortbox-([a-z0-9]{1,8})",
        "sortbox-([a-z0-9]{1,9})",
        f"{UNIT}/domain/test_keys.py::test_a_name_that_no_job_has_is_none_of_ours",
    ),
    Mistake(
        "a nine-letter stage has settings",
        "functions/settings.py",
        "[a-z0-9]{1,8}",
        "[a-z0-9]{1,9}",
        f"{UNIT}/functions/test_settings.py::test_a_stage_is_the_same_wherever_it_is_read",
    ),
    Mistake(
        "a nine-letter stage is deployed",
        "infra/stage.py",
        "[a-z0-9]{1,8}",
        "[a-z0-9]{1,9}",
        f"{UNIT}/functions/test_settings.py::test_a_stage_is_the_same_wherever_it_is_read",
    ),
    Mistake(
        "a crop is half a pixel off",
        "serving/preprocess.py",
        "    middle = (step - 1) / 2\n",
        "    middle = step / 2\n",
        f"{UNIT}/serving/test_preprocess.py::test_each_pixel_is_sampled_where_it_lies",
    ),
    Mistake(
        "only the first record of a notification is read",
        "functions/messages.py",
        "tuple(_changed(record) for record in records)",
        "tuple(_changed(record) for record in records[:1])",
        f"{UNIT}/functions/test_messages.py",
    ),
    Mistake(
        "the marker is classified",
        "domain/route.py",
        "    if name == READY and folders:\n        return Ready(folder)\n    if is_passed_over(",
        "    if name != READY and is_passed_over(",
        f"{UNIT}/functions/test_on_upload.py {UNIT}/domain/test_keys.py",
    ),
    Mistake(
        "403 is taken for absent",
        "aws/errors.py",
        "return status_of(error) == 404 and",
        "return status_of(error) in (403, 404) and",
        f"{UNIT}/functions/outbox/test_outbox.py {UNIT}/functions/test_on_upload.py",
    ),
    Mistake(
        "an image is fetched for an endpoint that does not answer",
        "functions/on_upload.py",
        "                    self.readiness.check(self.probe or self.endpoint,"
        " self.outbox.active())\n",
        "                    self.outbox.active()\n",
        f"{UNIT}/functions/endpoint/test_readiness.py",
    ),
    Mistake(
        "a marker is taken away whoever has written it since",
        "batch/planning/walk.py",
        "                self._bucket.delete(marker.key, marker.etag)\n",
        "                self._bucket.client.delete_object(\n"
        "                    Bucket=self._bucket.name, Key=marker.key\n"
        "                )\n",
        f"{UNIT}/batch/test_large_singles.py",
    ),
    Mistake(
        "a flood is let through in a trickle",
        "functions/allowance.py",
        "        return max(count + 1, before)\n",
        "        return count + 1\n",
        f"{UNIT}/functions/test_allowance.py",
    ),
    Mistake(
        "a slot for a transform job is taken whoever has it",
        "batch/jobs/slots.py",
        "    return context.bucket.replace(slot.key, body, slot.etag)\n",
        "    context.bucket.put(slot.key, body)\n    return True\n",
        f"{UNIT}/batch/jobs/test_slots.py",
    ),
    Mistake(
        "a run's next job goes before those that wait",
        "batch/jobs/slots.py",
        "    for slot in free[len(first) :]:\n",
        "    for slot in free:\n",
        f"{UNIT}/batch/jobs/test_slots.py",
    ),
    Mistake(
        "a container's 5xx becomes a rejection",
        "aws/errors.py",
        "400 <= status < 500",
        "400 <= status < 600",
        f"{UNIT}/functions/endpoint/test_classify.py",
    ),
    Mistake(
        "throttling becomes a rejection",
        "aws/errors.py",
        " and status not in RETRIED_STATUSES",
        "",
        f"{UNIT}/functions/endpoint/test_classify.py",
    ),
    Mistake(
        "a job's answer counts for the same bytes written again",
        "batch/planning/slice.py",
        "return is_same and self.last_modified == _instant(last_modified)",
        "return is_same",
        f"{UNIT}/batch/planning/test_slice.py {UNIT}/batch/test_run_races.py "
        f"{UNIT}/batch/test_run.py",
    ),
    Mistake(
        "a model without OpenVINO files is given the image without PyTorch",
        "infra/models/image_choice.py",
        'return "cpu" if card.openvino is None else "serve"',
        'return "serve"',
        f"{UNIT}/infra/models/test_image_choice.py",
    ),
    Mistake(
        "a promotion evaluates and uploads before it looks for the image",
        "training/launch/promote.py",
        "    image = context.image_for(card)  # before",
        "    context.s3.upload_file(str(proposed.archive), context.stage.bucket, 'a')\n"
        "    image = context.image_for(card)  # before",
        f"{UNIT}/training/launch/test_promote.py",
    ),
    Mistake(
        "an endpoint on a GPU takes whatever driver its machine has",
        "infra/models/endpoint.py",
        "    if has_gpu(stage.endpoint_instance_type):\n",
        "    if not stage.endpoint_instance_type:\n",
        f"{UNIT}/infra/models/test_endpoint_config.py",
    ),
    Mistake(
        "a GPU for transform jobs is deployed",
        "infra/stacks/deploy.py",
        '    check_transform(str({**params, **settings}["transformInstanceType"]))\n',
        '    check_transform(str(params["transformInstanceType"]))\n',
        f"{UNIT}/infra/stacks/test_stack_states.py",
    ),
    Mistake(
        "the server is silent about a GPU that it cannot use",
        "serving/hardware.py",
        "    if why and is_required:\n",
        "    if why is None and is_required:\n",
        f"{UNIT}/serving/test_hardware.py",
    ),
    Mistake(
        "training is silent about a GPU that it cannot use",
        "training/train.py",
        "            launcher.check_gpu(paths.config)\n",
        "",
        f"{UNIT}/training/test_launcher.py",
    ),
    Mistake(
        "of two images that an output's name can mean the first is answered",
        "batch/jobs/output_names.py",
        "for name, owner in owners.items() if len(owner) == 1}",
        "for name, owner in owners.items()}",
        f"{UNIT}/batch/jobs/test_output_names.py",
    ),
    Mistake(
        "the local cloud starts something else than the image does",
        "infra/local/container_image.py",
        'serve, train = [str(scripts / "serve")], [str(scripts / "train")]',
        'serve, train = [str(python), "-m", "serving"], [str(scripts / "train")]',
        f"{UNIT}/infra/local/test_container_image.py",
    ),
    Mistake(
        "outputs are matched by their position",
        "batch/jobs/collect.py",
        "            listing[image_of[listed.key]] = listed\n",
        "            listing[rows[len(listing)].key] = listed\n",
        f"{UNIT}/batch/jobs/test_collect.py",
    ),
    Mistake(
        "an output that is no reply becomes a rejection",
        "batch/jobs/collect.py",
        '        return NoReply(f"the transform job wrote {error}")\n',
        "        return reply.Refused(reply.Server('p:1:sha256:0', 'c'), 'bad', str(error))\n",
        f"{UNIT}/batch/jobs/test_collect.py {UNIT}/batch/test_run_trouble.py",
    ),
    Mistake(
        "pages are marked as sent before they are sent",
        "batch/jobs/progress.py",
        "    for page in pages:\n        context.send_page(planned.page(run.keys, part, page))\n"
        "    marker = _mark_key(run, planned, _sent_marker(part))\n"
        '    context.bucket.put(marker, json.dumps({"pages": len(pages)}))\n',
        "    marker = _mark_key(run, planned, _sent_marker(part))\n"
        '    context.bucket.put(marker, json.dumps({"pages": len(pages)}))\n'
        "    for page in pages:\n        context.send_page(planned.page(run.keys, part, page))\n",
        f"{UNIT}/batch/test_run_killed.py",
    ),
    Mistake(
        "a claim is deleted whoever changed it",
        "aws/bucket.py",
        """Key=key, IfMatch=f'"{etag}"')""",
        "Key=key)",
        f"{UNIT}/batch/test_run_races.py {UNIT}/batch/test_run.py tests/contract/test_bucket.py",
    ),
    Mistake(
        "a beat is remembered before its timer is sent",
        "functions/debounce.py",
        "        send(self._sqs, self._folder_queue_url, quiet, self._quiet_seconds)\n"
        "        self._remember(folder.path, now)\n",
        "        self._remember(folder.path, now)\n"
        "        send(self._sqs, self._folder_queue_url, quiet, self._quiet_seconds)\n",
        f"{UNIT}/functions/test_debounce.py",
    ),
    Mistake(
        "a stale answer is left when an image goes",
        "functions/on_upload.py",
        "                if change.removed:\n                    delete_result(self.outbox, key)\n",
        "",
        f"{UNIT}/functions/test_on_upload.py {UNIT}/functions/outbox/test_outbox_orders.py",
    ),
    Mistake(
        "listings are merged in the order of image keys",
        "batch/planning/listing.py",
        "        while held and held[0][0] <= OUTBOX + image.key.removeprefix(INBOX):\n",
        "        while held:\n",
        f"{UNIT}/batch/planning/test_listing.py",
    ),
    Mistake(
        "trouble is waited for an hour and no longer",
        "functions/sqs.py",
        "LONGEST_WAIT_SECONDS = 90",
        "LONGEST_WAIT_SECONDS = 9",
        f"{UNIT}/functions/test_sqs.py",
    ),
    Mistake(
        "a batch's answers are rotated by one",
        "serving/batcher.py",
        "zip(futures, ",
        "zip([*futures[1:], futures[0]], ",
        f"{UNIT}/serving/test_batcher.py",
    ),
    Mistake(
        "the rows of a run are queued to be looked at again",
        "functions/on_page.py",
        "    outbox = Outbox(s3, settings.bucket, active, leave_to_reclassify)\n",
        "    outbox = Outbox(s3, settings.bucket, active,\n"
        "        lambda key: sqs.send_message(QueueUrl='http://inbox', MessageBody='{}'))\n",
        f"{UNIT}/functions/test_on_page.py",
    ),
    Mistake(
        "the tables of folders do not follow a sweep",
        "batch/reports/change_report.py",
        "            sweeping.tables.add(answer)\n",
        "            pass\n",
        f"{UNIT}/batch/test_reclassify_tables.py",
    ),
    Mistake(
        "a table keeps the answer that it knew first",
        "batch/reports/known.py",
        "last = max(answers, key=",
        "last = min(answers, key=",
        f"{UNIT}/batch/test_reclassify_tables.py",
    ),
    Mistake(
        "a sweep is planned by a pointer that was read before the promotion",
        "functions/on_folder.py",
        ", max_age=0)",
        ")",
        f"{UNIT}/functions/test_on_folder.py",
    ),
    Mistake(
        "a formula's apostrophe is taken from every cell that has one",
        "domain/foreign.py",
        """return cell[1:] if cell[:1] == "'" and""",
        """return cell[1:] if cell[:1] == "'" or""",
        f"{UNIT}/domain/test_foreign.py",
    ),
    Mistake(
        "only ASCII's formulas are seen in a cell",
        "domain/foreign.py",
        'FORMULA.match(unicodedata.normalize("NFKC", one))',
        "FORMULA.match(one)",
        f"{UNIT}/domain/test_foreign.py",
    ),
    Mistake(
        "a folder that never falls quiet is never begun",
        "functions/on_folder.py",
        "        return is_overdue(s3, bucket, Scope(timer.path), self.context.now(), wait)\n",
        "        return wait < 0\n",
        f"{UNIT}/functions/test_on_folder.py",
    ),
    Mistake(
        "a wait ends though the run that is open has listed the folder already",
        "functions/on_folder.py",
        "if scope.gathers and not run.again:\n",
        "if scope.gathers:\n",
        f"{UNIT}/functions/test_on_folder.py",
    ),
    Mistake(
        "the clock begins with the first run at every tick",
        "functions/on_schedule.py",
        '    last = stored.body.decode() if stored else ""\n',
        '    last = stored.body.decode()[:0] if stored else ""\n',
        f"{UNIT}/functions/test_on_schedule.py",
    ),
    Mistake(
        "an archive's expansion is compared after it is written",
        "domain/archive.py",
        "        if size > unzipped.left:\n",
        "        if unzipped.left < 0:\n",
        f"{UNIT}/domain/test_archive.py",
    ),
    Mistake(
        "a name that another member uses as a folder is taken for a file",
        "domain/file_names.py",
        "if own in self._folders or not self._files.isdisjoint(above):",
        "if not self._files.isdisjoint(above):",
        f"{UNIT}/domain/test_archive.py",
    ),
    Mistake(
        "a report in turns forgets the image that it stopped at",
        "batch/reports/folder_report.py",
        "        reports.after = listed.key\n",
        "        reports.after = listed.key[:-1]\n",
        f"{UNIT}/batch/test_closing.py",
    ),
    Mistake(
        "a table that is gone on with begins after the row that was given last",
        "batch/reports/known.py",
        "            self.place, begins = begins, self._end\n            yield row\n",
        "            self.place = begins = self._end\n            yield row\n",
        f"{UNIT}/batch/test_closing.py",
    ),
    Mistake(
        "two processes write the place of one report",
        "batch/closing.py",
        "        raise ClosingConflictError(run.nonce)\n",
        "        return\n",
        f"{UNIT}/batch/test_closing.py",
    ),
    Mistake(
        "an object in pieces is completed whatever stands there",
        "aws/bucket.py",
        'MultipartUpload={"Parts": parts}, **condition',
        'MultipartUpload={"Parts": parts}',
        f"{UNIT}/batch/test_closing.py",
    ),
    Mistake(
        "a run goes on for ever, and its files expire",
        "batch/run.py",
        "closings.read(context.bucket, run) or _too_old(context, run)",
        "closings.read(context.bucket, run)",
        f"{UNIT}/batch/test_closing.py",
    ),
    Mistake(
        "jobs of the local SageMaker read and write as the cloud's owner",
        "infra/local/sagemaker/core/roles.py",
        '        of = role if self.permissions else ""\n',
        '        of = ""\n',
        f"{UNIT}/infra/local/sagemaker/test_roles.py",
    ),
    Mistake(
        "whoever may create a model may give it any role",
        "infra/local/sagemaker/core/gate.py",
        '        self._check(permissions, Question(caller, "iam:PassRole", role, passed))\n',
        "",
        f"{UNIT}/infra/local/sagemaker/test_roles.py",
    ),
    Mistake(
        "an update stays although its alarm rings while it bakes",
        "infra/local/sagemaker/hosting/bake.py",
        "            if ringing:\n",
        "            if not self.seconds and ringing:\n",
        f"{UNIT}/infra/local/sagemaker/test_bake.py",
    ),
    Mistake(
        "whoever asks SageMaker too often is answered here, and throttled on AWS",
        "infra/local/sagemaker/core/rates.py",
        "        if left < 1:\n",
        "        if left < 0:\n",
        f"{UNIT}/infra/local/sagemaker/test_rates.py",
    ),
    Mistake(
        "a folder that no machine is found for waits, and nobody is told",
        "functions/on_folder.py",
        '                count("NoCapacity")\n',
        "                pass\n",
        f"{UNIT}/functions/test_on_folder.py",
    ),
    Mistake(
        "a fleet that does not fit is taken by the local SageMaker",
        "infra/local/sagemaker/core/machines.py",
        "        if used + fleet.count > limit:\n",
        "        if used > limit:\n",
        f"{UNIT}/infra/local/sagemaker/test_machines.py",
    ),
    Mistake(
        "a page of another port on this machine may ask the local cloud",
        "infra/local/access/guard.py",
        'frozenset({"none", "same-origin"})',
        'frozenset({"none", "same-origin", "same-site"})',
        f"{UNIT}/infra/local/access/test_guard.py",
    ),
    Mistake(
        "a Host that begins as the local cloud's own is taken for it",
        "infra/local/access/guard.py",
        "self._own.fullmatch(hosts[0])",
        "self._own.match(hosts[0])",
        f"{UNIT}/infra/local/access/test_guard.py",
    ),
    Mistake(
        "a body is not held to the hash that was signed",
        "infra/local/access/sigv4.py",
        "        return HashedBody(payload)\n",
        "        return AnyBody()\n",
        f"{UNIT}/infra/local/access/test_sigv4.py",
    ),
    Mistake(
        "the local cloud asks an application before a signature over its body holds",
        "infra/local/access/guard.py",
        "            sigv4.check(request, signature, credential.secret, payload)\n",
        "",
        f"{UNIT}/infra/local/access/test_guard.py",
    ),
    Mistake(
        "an MD5 tells one image from another",
        "domain/result.py",
        "            return self.id == other.id\n",
        "            return self.etag == other.etag\n",
        f"{UNIT}/functions/test_inbox.py",
    ),
    Mistake(
        "an image in parts is planned without its version",
        "batch/planning/walk.py",
        "        return replace(row, version=head.version_id)\n",
        "        return row\n",
        f"{UNIT}/functions/test_inbox.py",
    ),
    Mistake(
        "what denies every image is held against each",
        "functions/inbox.py",
        "if not denial.certain and (others is None or not others.are_readable(key)):",
        "if not denial.certain and others is None:",
        f"{UNIT}/batch/test_unreadable.py",
    ),
    Mistake(
        "an image that could not be read is never looked at again",
        "functions/outbox.py",
        "        and not current.is_unreadable\n",
        "",
        f"{UNIT}/batch/test_unreadable.py",
    ),
    Mistake(
        "planning waits for ever while more objects are denied than are looked at",
        "batch/unreadable.py",
        "        or is_overdue\n        or _is_denied_alone(others.bucket, key)\n",
        "",
        f"{UNIT}/batch/test_unreadable.py",
    ),
    Mistake(
        "jobs that answer nothing at all count against a few large images",
        "batch/jobs/progress.py",
        "        written = (run.keys.outputs,)\n",
        "        return\n",
        f"{UNIT}/functions/endpoint/test_expensive.py",
    ),
    Mistake(
        "a process forgets whom it has read",
        "functions/on_upload.py",
        "            self.witness.key = key\n",
        "            pass\n",
        f"{UNIT}/batch/test_unreadable.py",
    ),
    Mistake(
        "tickets that have lapsed stay in line",
        "batch/jobs/slots.py",
        "    for ticket in lapsed[:CLEARED]:\n",
        "    for ticket in lapsed[:0]:\n",
        f"{UNIT}/batch/jobs/test_slots.py",
    ),
    Mistake(
        "restored images are in no allowance",
        "functions/on_upload.py",
        "change.removed or change.restored or",
        "change.removed or",
        f"{UNIT}/functions/test_allowance.py",
    ),
    Mistake(
        "a row that fails holds up its page for good",
        "functions/on_page.py",
        "        if failed and not self._gives_up(failed, page, received):\n",
        "        if failed:\n",
        f"{UNIT}/batch/test_unreadable.py",
    ),
    Mistake(
        "time-outs of an endpoint that is down count against an image",
        "functions/endpoint/expensive.py",
        "            if not is_timeout(error) or not self.is_healthy(active):\n",
        "            if not is_timeout(error):\n",
        f"{UNIT}/functions/endpoint/test_expensive.py",
    ),
    Mistake(
        "a companion that an earlier job answered speaks for a later one",
        "batch/planning/slice.py",
        "    if ref.attempt > 1 and not planned.has_companion(ref.part):\n",
        "    if ref.attempt > 1:\n",
        f"{UNIT}/functions/endpoint/test_expensive.py"
        "::test_a_job_counts_against_an_image_only_with_its_own_companion_answered",
    ),
    Mistake(
        "transform jobs may not read the companion",
        "infra/stacks/roles.yml",
        "                  - !Sub ${self:custom.bucketArn}/work/runs/*/companion.png\n",
        "",
        f"{UNIT}/infra/stacks/test_template_roles.py"
        "::test_a_models_container_reads_archives_images_and_manifests_and_writes_outputs",
    ),
    Mistake(
        "a sweep passes over answers to nothing",
        "batch/planning/listing.py",
        "        if result.key != matched:\n            unmatched(result)\n",
        "",
        f"{UNIT}/batch/test_reclassify_orphans.py",
    ),
)

CHECKER = "tests/faults/simulation/checker.py"
ITS_TESTS = "tests/faults/test_checker.py"

OF_THE_CHECKER = tuple(
    Mistake(name, CHECKER, before, after, ITS_TESTS)
    for name, before, after in (
        ("it does not compare versions", " and source == (reading.etag, reading.version)", ""),
        ("it does not compare names", 'answer["image"] == key and ', ""),
        ("it does not look at models", " or model_of(answer) not in models", ""),
        ("it does not compute labels", '["label"] != reading.label', '["label"] is None'),
        ("it takes every rejection", "if reading.label is not None", "if False"),
        ("it misses what is missing", "verdict.lost.append(key)", "pass"),
        ("it misses answers to nothing", "if key not in answered and", "if key is None and"),
        ("it does not read the table", "misreported.append(key)", "lost.extend([])"),
        ("it does not read the errors", "reported |= {\n", "{} | {\n"),
        (
            "it does not read the table's models",
            'answer["model"] and ":".join(str(answer["model"][each]) for each in MODEL_ID)',
            "reported.get(key, [None] * 3)[2]",
        ),
        (
            "it does not read the summary",
            "(len(rows), len(errors))",
            '(summary["classified"], summary["rejected"])',
        ),
    )
)
