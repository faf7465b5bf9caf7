# Every target works from a clean clone: `.venv` is made when it is missing.
# On Linux without an NVIDIA card, the small build of PyTorch saves a download of some gigabytes:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make sweep

PYTHON ?= python3
BIN = .venv/bin
# Two processes, as most tests wait for one core: each takes whole files, in their order.
PYTEST = $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: sweep test test-slow test-all test-cluster lint ui clean

sweep: .venv/installed
	$(BIN)/python sweeps/run_grid.py

# What a change is tried with while it is made: a quarter of an hour on two quiet cores, more on busy ones.
test: .venv/installed-dev
	$(PYTEST)

# What takes a minute each: buckets, browsers, whole corpora, a cluster, a fault of each sort.
test-slow: test
	$(PYTEST) -m 'slow or cluster'

# And every fault and fall: over an hour more.
test-all: test-slow
	$(PYTEST) -m long

# `ray up` over ssh, between machines made of namespaces: takes root, sshd and rsync.
test-cluster: .venv/installed-dev
	$(BIN)/python -m pytest -m cluster

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# `constraints.txt` with the hashes of every file that an index may give, for machines on networks of
# others; takes uv. Without torch, whose files differ from index to index, and what it brings.
hashes.txt: pyproject.toml constraints.txt
	echo torch | uv pip compile pyproject.toml --universal --python-version 3.11 --constraint constraints.txt \
		--excludes /dev/stdin --generate-hashes --no-annotate --quiet --custom-compile-command 'make $@' --output-file $@

ui: .venv/installed
	$(BIN)/python sweeps/ui.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
