# For developers; `./sortbox --help` lists the commands for users.
MAKEFLAGS += --no-print-directory
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME
python = .venv/bin/python
uv = $(shell command -v uv || echo .local/uv/bin/uv)
.PHONY: help env laptop demo docs axe test test-unit test-faults test-models test-nightly test-image test-reclassify fuzz mutants audit sbom notices image-here lint types bundle lock bench bench-batch bench-gpu bench-flow bench-console bench-data bench-train bench-loop bench-install clean

help:
	@echo './sortbox --help     the commands for users'
	@echo 'make demo            classify photographs on this machine, no account needed'
	@echo 'make test            every check; make test-unit, make lint, make types: these alone'
	@echo 'make test-faults     a hundred thousand uploads, throttled, repeated, reordered and killed'
	@echo 'make docs            build this documentation as a site, in build/site'
	@echo 'make audit           scan templates and dependencies for known vulnerabilities'
	@echo 'make sbom | notices  what third parties wrote in the bundle and the images, and their licences'
	@echo 'make bench           measure the server beside its peers; bench-batch, bench-flow, bench-console, bench-data, bench-train, bench-loop, bench-gpu, bench-install'

env: # every other verb builds what it needs first
	@python=$$(PYTHON='$(PYTHON)' sh infra/setup/python.sh) && "$$python" infra/setup/environments.py

laptop: # the same without training
	@python=$$(PYTHON='$(PYTHON)' sh infra/setup/python.sh) && "$$python" infra/setup/environments.py laptop tools

demo:
	@./sortbox demo

build/imagenet.tar.gz: | env
build/imagenet.tar.gz: requirements.txt domain/model.py training/model/bundled.py training/model/bundled_weights.py training/model/lite0_graph.py training/model/openvino_files.py training/model/package.py
	@echo 'Packing the bundled ImageNet model …'
	@$(python) -m training.model.bundled $@

axe: # what checks the accessibility of pages; without npm, or its registry, that test skips
	@test .local/axe/node_modules/axe-core/package.json -nt infra/tools/axe/package-lock.json || { \
	    mkdir -p .local/axe && cp infra/tools/axe/package*.json .local/axe/ && \
	    npm ci --prefix .local/axe --ignore-scripts --no-audit --no-fund --loglevel=error --no-update-notifier >/dev/null && \
	    touch .local/axe/node_modules/axe-core/package.json; } || \
	    echo 'axe-core could not be installed: the test of accessibility skips.' >&2

test: lint types axe # the flows mostly wait: meanwhile a second process goes through the rest
	@$(python) -m pytest --numprocesses 2

test-unit: env # no server, no network: a few minutes; EXAMPLES=random draws others than every time
	@$(python) -m pytest --numprocesses 2 $(if $(EXAMPLES),--hypothesis-profile=$(EXAMPLES)) tests/unit

test-faults: env # the bars of docs/reliability.md, whole
	@$(python) -m pytest -m faults -s tests/faults

test-models: env # the life of ResNet-50 with 3, 32 and 64 classes
	@$(python) -m pytest -m models tests/flow

test-image: env # the training image, from its build to a model that `serve` serves; root on Debian, 35 GB of disk
	@$(python) -m pytest -m training_image tests/contract/container

test-nightly: env
	@$(python) -m pytest -m nightly -s tests/faults

fuzz: env # the decode road, for SECONDS; atheris beside our environment, what it finds in .local/fuzz
	@test -d .local/fuzz/atheris || $(uv) pip install --quiet --require-hashes --no-deps --python $(python) --target .local/fuzz/atheris -r infra/tools/atheris.txt
	@PYTHONPATH=.local/fuzz/atheris $(python) -m tests.fuzz_decode .local/fuzz/corpus \
	    -max_total_time=$(or $(SECONDS),600) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=.local/fuzz/

mutants: env # one small change at a time to what the promises hang on: which does no test notice? MODULE=domain.keys
	@test -d .local/mutmut/mutmut || $(uv) pip install --quiet --require-hashes --no-deps --python $(python) --target .local/mutmut -r infra/tools/mutmut.txt
	@PYTHONPATH=$(CURDIR)/.local/mutmut $(python) -m mutmut run --max-children 2 $(if $(MODULE),'$(MODULE).*')
	@PYTHONPATH=$(CURDIR)/.local/mutmut $(python) -m mutmut results

audit: env # asks the package registry about every pinned library
	@$(python) -m infra.audit

sbom: env .local/sbom-venv/.sortbox # CycloneDX, of the bundle and of the image, into build/sbom/
	@.local/sbom-venv/bin/python -m infra.audit.sbom

.local/sbom-venv/.sortbox: infra/tools/sbom.txt
	@$(uv) venv --quiet --clear --python $(python) .local/sbom-venv
	@$(uv) pip sync --quiet --require-hashes --python .local/sbom-venv/bin/python $<
	@touch $@

docs: laptop .local/docs-venv/.sortbox # the site, into build/site; the reference is generated first
	@$(python) -m docs.generate
	@.local/docs-venv/bin/zensical build --clean --strict
	@echo 'build/site/index.html'

.local/docs-venv/.sortbox: infra/tools/docs.txt
	@$(uv) venv --quiet --clear --python $(python) .local/docs-venv
	@$(uv) pip sync --quiet --require-hashes --python .local/docs-venv/bin/python $<
	@touch $@

notices: env # the licences of what we ship, into build/notices/
	@$(python) -m infra.audit.notices

image-here: env # the image, built twice and compared, without Docker: root on Debian. VARIANT=serve
	@$(python) -m infra.local.image_here $(or $(VARIANT),serve)

lint: env
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .

types: env
	@$(python) -m mypy .

bundle: env
	@$(python) -m infra.stacks.bundle

bench: env .local/bench-venv/.sortbox build/bench/.sortbox # BENCH='--network lite0 --rounds 3 --parts servers'
	@$(python) -m benchmarks.serve $(BENCH)

.local/bench-venv/.sortbox: benchmarks/requirements.txt
	@$(uv) venv --quiet --clear --python $(python) .local/bench-venv
	@$(uv) pip sync --quiet --require-hashes --python .local/bench-venv/bin/python $<
	@touch $@

build/bench/.sortbox: benchmarks/models.py training/model/quantise.py requirements.txt
	@$(python) -m benchmarks.models build/bench
	@touch $@

bench-batch: env build/bench/.sortbox # BENCH='--model lite0-int8 --number 300 --only transform'
	@$(python) -m benchmarks.batch $(BENCH)

bench-gpu: env # one sentence where there is no GPU
	@$(python) -m benchmarks.gpu $(BENCH)

bench-train: env # DATA=folder: from it to an archive that serves, for each bundled network; BENCH='epochs=20 --networks auto --seeds 0'
	@$(python) -m benchmarks.training.train '$(DATA)' $(BENCH)

bench-data: env # DATA=folder: what the check finds of planted copies and wrong labels; BENCH='--share 0.1'
	@$(python) -m benchmarks.data_check '$(DATA)' $(BENCH)

bench-install: env # a first run from nothing, measured; BENCH='--python /path/to/python3.13'
	@$(python) -m benchmarks.install $(BENCH)

bench-loop: export SORTBOX_LOCAL = $(CURDIR)/.local/bench-loop
bench-loop: env # DATA=folder: 40 corrections a round by the console's pages, in a cloud of its own; BENCH='--rounds 1'
	@./sortbox up && . .local/bench-loop/env && $(python) -m benchmarks.console_loop '$(DATA)' $(BENCH); \
	    status=$$?; ./sortbox down; exit $$status

bench-console: env # the gallery with 100,000 answers, in Chromium; BENCH='--answers 10000'
	@$(python) -m benchmarks.console $(BENCH)

bench-flow: export SORTBOX_LOCAL = $(CURDIR)/.local/bench-flow
bench-flow: # in a cloud of its own
	@./sortbox up && . .local/bench-flow/env && $(python) -m benchmarks.flow; \
	    status=$$?; ./sortbox down; exit $$status

test-reclassify: env # 2,000 images, where `make test` takes 210
	@SORTBOX_RECLASSIFY_IMAGES=2000 $(python) -m pytest -s tests/flow/test_reclassify.py

# PyPI's torch is built with CUDA. The image without it takes torch from PyTorch's own index, which uv knows by name.
without_cuda = sed -nE 's/^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==.*/--no-emit-package \1/p' requirements.txt
compile = $(uv) pip compile --quiet --no-header --python-version 3.11 --generate-hashes

# What the laptop's packages ask for and Sortbox never imports there.
unused = scipy networkx imageio tifffile lazy-loader openvino-telemetry pygments markdown-it-py mdurl

lock: env # every version, and the hash of every file it may come as, for both architectures and both Pythons
	for each in requirements infra/local/requirements infra/audit/requirements benchmarks/requirements \
	    infra/tools/uv infra/tools/node infra/tools/atheris infra/tools/sbom \
	    infra/tools/docs; do $(compile) --universal $$each.in -o $$each.txt; done
	sed -nE '/^numpy==/d; s/^([a-z0-9._-]+==.*) \\$$/\1/p' requirements.txt > .local/constraints.txt
	$(compile) --universal -c .local/constraints.txt infra/tools/laptop.in -o infra/tools/laptop.txt $(addprefix --no-emit-package ,$(unused))
	$(compile) --universal -c requirements.txt infra/tools/mutmut.in -o infra/tools/mutmut.txt
	$(compile) --universal -c requirements.txt infra/container/serve.in -o infra/container/serve.txt --no-emit-package openvino-telemetry
	$(compile) --universal -c requirements.txt infra/container/gpu.in -o infra/container/gpu.txt
	$(compile) --universal -c requirements.txt infra/container/cpu.in -o infra/container/cpu.txt --no-annotate $$($(without_cuda))
	$(compile) --no-deps --torch-backend cpu infra/container/torch-cpu.in -o infra/container/torch-cpu.txt || \
	    echo "PyTorch's index does not answer: infra/container/torch-cpu.txt stays as it is"
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean: # what `make` built; the local cloud's objects go too
	@if [ -x $(python) ]; then ./sortbox down; fi
	rm -rf .venv .local node_modules build mutants .serverless .mypy_cache .ruff_cache .pytest_cache
