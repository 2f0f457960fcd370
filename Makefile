# The only verbs. `make demo` is where to start; README.md says the rest.
MAKEFLAGS += --no-print-directory
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME
export KEY BUCKET PREFIX DATA JOB ARCHIVE TEST OVERRIDE IMAGE
python = .venv/bin/python
uv = $(shell command -v uv || echo .local/uv/bin/uv)
# STAGE=local speaks to the local cloud, any other stage to the account of your credentials.
in_stage = $(if $(filter local,$(1)),env=$$($(python) -m infra.local env) && eval "$$env" && )$(python)
activate = $(call in_stage,local) -m infra.activate --stage local --archive build/imagenet.tar.gz \
    --image "$$($(python) -m infra.local image)"
named = $(or $(STAGE),$(error which stage? `make $@ STAGE=dev`))

# Said on the command line, they reach the job by these names; the list is TrainConfig's.
hyperparameters = NAME ARCH WEIGHTS UNFREEZE FROZEN EPOCHS BATCH_SIZE LR BACKBONE_LR OPTIMIZER MOMENTUM WEIGHT_DECAY \
    WARMUP CLIP LABEL_SMOOTHING MIXUP CUTMIX AUGMENT CLASS_WEIGHTS EMA PATIENCE SEARCH TRIALS OBJECTIVE TUNED \
    PRECISION COMPILE IMAGE_SIZE SEED \
    DECODERS PROCESSES MAX_UNREADABLE LOG_EVERY CHECKPOINT_SECONDS DEBUG DEBUG_INTERVAL STOP_ON STALL_SECONDS PROFILE_STEPS
told = $(foreach each,$(hyperparameters),$(if $(filter command,$(firstword $(origin $(each)))),$(each)="$$$(each)"))
stage = $(or $(STAGE),local)
image = $(if $(filter local,$(stage)),"$$($(python) -m infra.local image)","$$($(python) -m infra.image --stage '$(stage)' $(if $(INSTANCE_TYPE),--for '$(INSTANCE_TYPE)'))")

.PHONY: help env up down demo train tune promote rollback doctor image test test-faults test-models test-nightly fuzz mutants audit sbom notices lint types deploy remove status reclassify review cost bundle lock bench bench-batch bench-gpu bench-flow test-reclassify clean

help:
	@echo 'make demo                    classify photographs on this machine, no account needed'
	@echo 'make up | down               the local cloud; results survive'
	@echo 'make train DATA=photos/      a training job on any folder of images; ARCH=resnet50 EPOCHS=4 LR=0.001 …'
	@echo 'make tune DATA=photos/       search for the best hyperparameters, then fit with them; IN_ONE_JOB=1 TRIALS=12 LR=0.001:0.1 …'
	@echo 'make promote | rollback      judge what was trained beside what is active, and switch; or switch back'
	@echo 'make image STAGE=dev         the container, built on AWS; INSTANCE_TYPE=ml.g4dn.xlarge: the one for GPUs'
	@echo 'make doctor STAGE=dev        is everything there, and what will it cost?'
	@echo 'make test | lint | types     every check'
	@echo 'make test-faults             a hundred thousand uploads, throttled, repeated, reordered and killed'
	@echo 'make audit                   templates and libraries, by tools that know of known faults'
	@echo 'make sbom | notices          what third parties wrote in the bundle and the image, and under which licences'
	@echo 'make deploy STAGE=dev        into the AWS account of your credentials'
	@echo 'make status KEY=inbox/x.jpg  why is nothing there? in the local cloud; STAGE=dev in AWS'
	@echo 'make reclassify DRY_RUN=1     bring every answer up to date; PREFIX=inbox/trip/ STAGE=dev YES=1 STOP=1'
	@echo 'make review OUT=review        what people should look at, as a folder of classes; CSV=corrected.csv'
	@echo 'make cost IMAGES_PER_DAY=20000 FOLDER_SIZE=500   which road is cheapest?'
	@echo 'make remove STAGE=dev        stop what bills; BUCKET=delete deletes the data as well'

env: # every other verb builds what it needs first
	@python=$$(PYTHON='$(PYTHON)' sh infra/python.sh) && "$$python" infra/environments.py

up: env build/imagenet.tar.gz
	@$(python) -m infra.local up
	@$(activate) --keep

down: env
	@$(python) -m infra.local down

demo: env build/imagenet.tar.gz
	@$(python) -m infra.local up
	@$(activate)
	@$(python) -m infra.local demo

train: env
	@$(if $(DATA),,$(error which data? `make $@ DATA=photos/`))$(call in_stage,$(stage)) -m training.launch --stage '$(stage)' --image $(image) --data "$$DATA" \
	    $(if $(INSTANCE_TYPE),--instance-type '$(INSTANCE_TYPE)') $(if $(SPOT),--spot) $(if $(MANAGED_DEBUGGER),--managed-debugger) -- $(told)

tune: env
	@$(if $(DATA),,$(error which data? `make $@ DATA=photos/`))$(call in_stage,$(stage)) -m training.tune --stage '$(stage)' --image $(image) --data "$$DATA" \
	    $(if $(INSTANCE_TYPE),--instance-type '$(INSTANCE_TYPE)') $(if $(SPOT),--spot) $(if $(IN_ONE_JOB),--in-one-job) \
	    $(if $(STRATEGY),--strategy '$(STRATEGY)') $(if $(PARALLEL),--parallel '$(PARALLEL)') \
	    $(if $(EARLY_STOPPING),--early-stopping '$(EARLY_STOPPING)') $(if $(WARM_START),--warm-start '$(WARM_START)') -- $(told)

build/imagenet.tar.gz: | env
promote: env
	@$(call in_stage,$(stage)) -m training.promote --stage '$(stage)' --image $(image) \
	    $(if $(JOB),--job "$$JOB") $(if $(ARCHIVE),--archive "$$ARCHIVE") $(if $(TEST),--tests "$$TEST") \
	    $(if $(REPLACE_LABELS),--replace-labels) $(if $(OVERRIDE),--override "$$OVERRIDE")
	@$(call in_stage,$(stage)) -m infra.reclassify --stage '$(stage)' $(if $(AUTO_RECLASSIFY),--yes,--dry-run)

rollback: env
	@$(call in_stage,$(stage)) -m infra.rollback --stage '$(stage)' $(if $(IMAGE),--image "$$IMAGE")
	@$(call in_stage,$(stage)) -m infra.reclassify --stage '$(stage)' $(if $(AUTO_RECLASSIFY),--yes,--dry-run)

doctor: env
	@$(call in_stage,$(stage)) -m infra.doctor --stage '$(stage)' $(if $(filter local,$(stage)),--image $(image))

image: env
	@$(call in_stage,$(named)) -m infra.image --stage '$(named)' --build $(if $(INSTANCE_TYPE),--for '$(INSTANCE_TYPE)')

build/imagenet.tar.gz: requirements.txt domain/model.py training/bundled.py training/package.py training/quantise.py
	@echo 'Packing the bundled ImageNet model …'
	@$(python) -m training.bundled $@

test: lint types # the flows mostly wait: meanwhile a second process goes through the rest
	@$(python) -m pytest --numprocesses 2 --dist loadgroup

test-faults: env # the bars of docs/reliability.md, whole
	@$(python) -m pytest -m faults -s tests/faults

test-models: env # the life of ResNet-50 with 3, 32 and 64 classes
	@$(python) -m pytest -m models tests/flow

test-nightly: env
	@$(python) -m pytest -m nightly -s tests/faults

fuzz: env # the decode road, for SECONDS; atheris beside our environment, what it finds in .local/fuzz
	@test -d .local/fuzz/atheris || $(uv) pip install --quiet --require-hashes --no-deps --python $(python) --target .local/fuzz/atheris -r infra/tools/atheris.txt
	@PYTHONPATH=.local/fuzz/atheris $(python) -m tests.faults.fuzz_decode .local/fuzz/corpus \
	    -max_total_time=$(or $(SECONDS),600) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=.local/fuzz/

mutants: env # one small change at a time to what the promises hang on: which does no test notice? MODULE=domain.keys
	@test -d .local/mutmut/mutmut || $(uv) pip install --quiet --require-hashes --no-deps --python $(python) --target .local/mutmut -r infra/tools/mutmut.txt
	@PYTHONPATH=$(CURDIR)/.local/mutmut $(python) -m mutmut run --max-children 2 $(if $(MODULE),'$(MODULE).*')
	@PYTHONPATH=$(CURDIR)/.local/mutmut $(python) -m mutmut results

audit: env # asks the package registry about every pinned library
	@$(python) -m infra.audit

sbom: env .local/sbom-venv/.sortbox # CycloneDX, of the bundle and of the image, into build/sbom/
	@.local/sbom-venv/bin/python -m infra.sbom

.local/sbom-venv/.sortbox: infra/tools/sbom.txt
	@$(uv) venv --quiet --clear --python $(python) .local/sbom-venv
	@$(uv) pip sync --quiet --require-hashes --python .local/sbom-venv/bin/python $<
	@touch $@

notices: env # the licences of what we ship, into build/notices/
	@$(python) -m infra.notices

lint: env
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .

types: env
	@$(python) -m mypy .

bundle: env
	@$(python) -m infra.bundle

deploy: bundle
	@$(call in_stage,$(named)) -m infra.deploy --stage '$(named)'

remove: env
	@$(call in_stage,$(named)) -m infra.remove --stage '$(named)' $(if $(BUCKET),--bucket "$$BUCKET") $(if $(YES),--yes)

status: env
	@$(call in_stage,$(or $(STAGE),local)) -m infra.status --stage '$(or $(STAGE),local)' $(if $(JSON),--json) -- "$$KEY"

reclassify: env
	@$(call in_stage,$(or $(STAGE),local)) -m infra.reclassify --stage '$(or $(STAGE),local)' --prefix="$${PREFIX:-inbox/}" \
	    $(if $(KIND),--kind '$(KIND)') $(if $(RATE),--rate '$(RATE)') $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes) \
	    $(if $(STOP),--stop) $(if $(END),--end)

review: env # the images to look at, as a folder of classes; CSV=list.csv: those that were corrected
	@$(call in_stage,$(or $(STAGE),local)) -m infra.review --stage '$(or $(STAGE),local)' --out '$(or $(OUT),review)' $(if $(CSV),--csv '$(CSV)')

cost: env
	@$(python) -m infra.cost --images-per-day '$(IMAGES_PER_DAY)' --folder-size '$(or $(FOLDER_SIZE),1)' $(if $(RATE),--rate '$(RATE)')

bench: env .local/bench-venv/.sortbox build/bench/.sortbox # BENCH='--network lite0 --rounds 3 --parts servers'
	@$(python) -m benchmarks.serve $(BENCH)

.local/bench-venv/.sortbox: benchmarks/requirements.txt
	@$(uv) venv --quiet --clear --python $(python) .local/bench-venv
	@$(uv) pip sync --quiet --require-hashes --python .local/bench-venv/bin/python $<
	@touch $@

build/bench/.sortbox: benchmarks/models.py training/quantise.py requirements.txt
	@$(python) -m benchmarks.models build/bench
	@touch $@

bench-batch: env build/bench/.sortbox # BENCH='--model lite0-int8 --number 300 --only transform'
	@$(python) -m benchmarks.batch $(BENCH)

bench-gpu: env # one sentence where there is no GPU
	@$(python) -m benchmarks.gpu $(BENCH)

bench-flow: export SORTBOX_LOCAL = $(CURDIR)/.local/bench-flow
bench-flow: env build/imagenet.tar.gz # in a cloud of its own
	@$(python) -m infra.local up && $(activate) && $(call in_stage,local) -m benchmarks.flow; \
	    status=$$?; $(python) -m infra.local down; exit $$status

test-reclassify: env # 2,000 images, where `make test` takes 210
	@SORTBOX_RECLASSIFY_IMAGES=2000 $(python) -m pytest -s tests/flow/test_reclassify.py

# PyPI's torch is built with CUDA. The image without it takes torch from PyTorch's own index, which uv knows by name.
without_cuda = sed -nE 's/^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==.*/--no-emit-package \1/p' requirements.txt
compile = $(uv) pip compile --quiet --no-header --python-version 3.11 --generate-hashes

lock: env # every version, and the hash of every file it may come as, for both architectures and both Pythons
	for each in requirements infra/local/requirements infra/audit/requirements benchmarks/requirements \
	    infra/tools/uv infra/tools/node infra/tools/atheris infra/tools/sbom; do $(compile) --universal $$each.in -o $$each.txt; done
	$(compile) --universal -c requirements.txt infra/tools/mutmut.in -o infra/tools/mutmut.txt
	$(compile) --universal -c requirements.txt infra/container/gpu.in -o infra/container/gpu.txt
	$(compile) --universal -c requirements.txt infra/container/cpu.in -o infra/container/cpu.txt --no-annotate $$($(without_cuda))
	$(compile) --no-deps --torch-backend cpu infra/container/torch-cpu.in -o infra/container/torch-cpu.txt || \
	    echo "PyTorch's index does not answer: infra/container/torch-cpu.txt stays as it is"
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean: # what `make` built; the local cloud's objects go too
	@if [ -x $(python) ]; then $(python) -m infra.local down; fi
	rm -rf .venv .local node_modules build mutants .serverless .mypy_cache .ruff_cache .pytest_cache
