# Start with make build and make test. Both work on a fresh clone.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
export DO_NOT_TRACK = 1
# Tests and lint use the sample, whatever the caller's environment contains.
SAMPLE := EXTRACTS_DIR= JOB_HISTORY_DIR= AS_OF_DATE=

# Values that a caller sets reach a command through its environment, unchanged: neither make nor the shell expands the text of
# an id, a file name or an option.
BENCH ?= --steps 1000000 10000000 --runs 3
GIVEN := JOB LOAD KEEP_MONTHS CUSTOMER CLOSES CERTIFICATE MONTH FORCE OUTPUT OUT VARS RULES RULES_AS_OF TERMS RATIOS WAREHOUSE_DIR EXTRACTS_DIR \
	AS_OF_DATE PYTEST PROOF MUTANTS SPARK BENCH WORKATO_TOKEN WORKATO_REGION WORKATO_URL EXTRACT_LINES EXTRACT_MINUTES \
	JOB_HISTORY_DIR LIST_ALL STATEMENTS_FOR NOTIFY_WEBHOOK NOTIFY_EMAIL_TO NOTIFY_EMAIL_FROM NOTIFY_FINDINGS NOTIFY_USAGE_PERCENT \
	SMTP_HOST SMTP_PORT SMTP_USER SMTP_PASSWORD SMTP_SECURITY
$(foreach name,$(GIVEN),$(if $(filter-out undefined,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
OPTIONS := $(BIN)/python scripts/with_options.py

.PHONY: build check extract store demo dashboard statement screenshots test prove browser test-duckdb-2 test-spark test-schedulers java proof mutants accuracy parse quick-lint lint docs explain what-if scheduled-run verify close bridge forget-load forget compact bench backtest sample clean requirements
.DEFAULT_GOAL := build

# The pinned environments: packages for runs, and additional packages for developers. Installed by uv, or otherwise by pip.
INSTALL := $(PYTHON) scripts/install.py
$(VENV)/run.stamp: requirements.txt
	@$(INSTALL) $(VENV) requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	@$(INSTALL) $(VENV) requirements-dev.txt
	@touch $@

# Builds seeds, models and data tests over the sample extracts, or over EXTRACTS_DIR, into WAREHOUSE_DIR. (Only make test runs
# the unit tests.)
build: $(VENV)/run.stamp
	$(BIN)/dbt build --exclude-resource-type unit_test

# Reads the platform's API into EXTRACTS_DIR (docs/getting-extracts.md). Exit code 1: partly, 2: nothing was extracted; make says
# 2 for both, so call python -m extraction to tell them apart.
extract: $(VENV)/extract.stamp
	@$(BIN)/python -m extraction

$(VENV)/extract.stamp: requirements-extract.txt $(VENV)/run.stamp
	@$(INSTALL) $(VENV) requirements-extract.txt
	@touch $@

# The packages that read s3://, gs:// and az:// (docs/getting-extracts.md): make store, once.
store: $(VENV)/store.stamp
$(VENV)/store.stamp: requirements-store.txt $(VENV)/run.stamp
	@$(INSTALL) $(VENV) requirements-store.txt
	@touch $@

# From a fake platform on loopback with the sample world to an open dashboard: extracts, builds and writes target/demo.
demo: $(VENV)/extract.stamp
	@$(BIN)/python -B scripts/demo.py

# The quick check of a change, under a minute: lint, unit tests of changed models, compile. SINCE=main: changes since main.
check: $(VENV)/dev.stamp
	@$(BIN)/python scripts/check.py

# Required for every change: a build of the sample with its data tests, then pytest with a quarter of the random samples, and
# in parallel the quick part of the lint. TEST_SAMPLES=half draws a half of the samples, TEST_SAMPLES=full all.
test: $(VENV)/dev.stamp browser
	@$(MAKE) --jobs=2 quick-lint prove

# tests/test_unit_tests.py runs the unit tests in a quarter of dbt's time; UNIT_TESTS=dbt has dbt run them all, too.
prove: $(VENV)/dev.stamp browser
	rm -rf target/test-warehouse
	$(SAMPLE) WAREHOUSE_DIR=target/test-warehouse \
		$(BIN)/dbt build --quiet $(if $(filter dbt,$(UNIT_TESTS)),,--exclude-resource-type unit_test) --vars '{rule_overrides: false}'
	$(SAMPLE) TEST_WAREHOUSE_DIR=target/test-warehouse $(OPTIONS) PYTEST $(BIN)/pytest --numprocesses=auto

# The browser of the dashboard's tests: the system's own. Installed if there is none and the user is allowed to.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && apt-get install --yes --no-install-recommends chromium && exit 0; \
	fi; \
	echo "No Chromium, and none can be installed: the dashboard's tests are skipped."

# The pictures of docs/dashboard.md and README.md; the dashboard's tests make them.
screenshots: $(VENV)/dev.stamp browser
	$(SAMPLE) SCREENSHOTS=docs/images $(BIN)/pytest tests/test_dashboard.py -k pictures

# make prove on the next DuckDB, in an environment of its own; dbt runs all unit tests.
test-duckdb-2: .venv-duckdb-2/duckdb-2.stamp
	$(MAKE) prove VENV=.venv-duckdb-2 UNIT_TESTS=dbt

.venv-duckdb-2/duckdb-2.stamp: requirements-duckdb-2.txt requirements-dev.txt
	$(MAKE) .venv-duckdb-2/dev.stamp VENV=.venv-duckdb-2
	@$(INSTALL) --no-deps .venv-duckdb-2 requirements-duckdb-2.txt
	@touch $@

# The same models on Spark: the sample, random worlds over several runs, and a difference that must be found.
test-spark: .venv-spark/spark.stamp java
	$(SAMPLE) SPARK_CONF_DIR="$(CURDIR)/tests/spark/conf" SPARK_SHUFFLE_PARTITIONS=2 $(OPTIONS) SPARK .venv-spark/bin/python -m tests.spark

.venv-spark/spark.stamp: requirements-spark.txt requirements-dev.txt
	$(MAKE) .venv-spark/dev.stamp VENV=.venv-spark
	@$(INSTALL) .venv-spark requirements-spark.txt
	@touch $@

# Spark 4 runs on Java 17 or 21. Installed if there is none and the user is allowed to.
java:
	@java -version 2>&1 | grep -qE '"(17|21)[."]' && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && apt-get install --yes --no-install-recommends openjdk-17-jre-headless && exit 0; \
	fi; \
	echo "Spark needs Java 17, and none can be installed."; exit 1

# The ready files of deploy, read and run by Airflow and Dagster themselves, in an environment of their own. Takes two runs over
# the sample.
test-schedulers: .venv-schedulers/schedulers.stamp $(VENV)/run.stamp
	$(SAMPLE) .venv-schedulers/bin/python -m tests.schedulers

.venv-schedulers/schedulers.stamp: requirements-schedulers.txt
	@$(INSTALL) .venv-schedulers requirements-schedulers.txt
	@touch $@

# Compares thousands of random worlds with the independent count (a quarter of an hour at most), with another seed each time.
# PROOF="--worlds 400" draws fewer.
proof: $(VENV)/dev.stamp
	$(OPTIONS) PROOF $(BIN)/python tests/proof.py

# Which mutations do the tests detect? MUTANTS="--of metering" tests a part, MUTANTS="--sample 150" some.
mutants: $(VENV)/dev.stamp
	$(OPTIONS) MUTANTS $(BIN)/python tests/mutate.py

# Writes docs/accuracy.md from the results of make proof and make mutants.
accuracy: $(VENV)/dev.stamp
	$(BIN)/python tests/accuracy.py

# Lint runs in parallel with a build, so it has its own warehouse and parsed project.
APART := $(SAMPLE) WAREHOUSE_DIR=target/lint-warehouse DBT_TARGET_PATH=target/lint

# dbt parses the whole project; a warning is an error. dbt-bouncer checks layers, schemas and names in the manifest.
parse: $(VENV)/dev.stamp
	$(APART) DBT_WRITE_JSON=true $(BIN)/dbt --quiet --warn-error parse --no-partial-parse
	$(BIN)/dbt-bouncer run --config-file dbt-bouncer.yml --output-only-failures --show-all-failures

quick-lint: $(VENV)/dev.stamp parse
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# make check lints the changed SQL; all of it takes three to five minutes.
lint: quick-lint
	$(APART) $(BIN)/python scripts/lint_sql.py models tests analyses

# Writes one page with the descriptions of all models and columns, and lineage; it opens from disk. It describes the existing
# build in WAREHOUSE_DIR, loads and publishes nothing, and builds only if there is no build yet.
docs: $(VENV)/run.stamp
	@built="$${WAREHOUSE_DIR:-warehouse}/build/usage.duckdb"; test -e "$$built" || { \
		echo "There is no $$built yet: building it first."; $(BIN)/dbt build --exclude-resource-type unit_test; }
	@echo "Describing $${WAREHOUSE_DIR:-warehouse}/build/usage.duckdb: nothing is taken in, computed or published."
	DBT_WRITE_JSON=true $(BIN)/dbt docs generate --static
	@echo "Open target/static_index.html"

# make explain JOB=j-…   or   make explain CUSTOMER=… MONTH=2026-08   (with JOB, add CUSTOMER if the id is ambiguous)
# With RULES, TERMS, RATIOS, VARS or RULES_AS_OF as for make what-if: the month as published, and as it would be.
explain: $(VENV)/run.stamp
	@if test -n "$$RULES$$TERMS$$RATIOS$$VARS$$RULES_AS_OF"; then $(WHAT_IF) --customer="$$CUSTOMER"; \
	else $(BIN)/python -B scripts/explain.py --job="$$JOB" --customer="$$CUSTOMER" --month="$$MONTH"; fi

# How a month's figures would differ under other rules (docs/what-if.md): make what-if MONTH=2026-08 TERMS=credits_2026
# [OUT=file.csv]. RULES=folder, RATIOS=file, VARS='{task_terms: T1}', RULES_AS_OF=2025-08-13.
WHAT_IF := $(BIN)/python -B scripts/what_if.py --month="$$MONTH" --rules="$$RULES" --terms="$$TERMS" --ratios="$$RATIOS" \
	--vars="$$VARS" --rules-as-of="$$RULES_AS_OF" --out="$$OUT"
what-if: $(VENV)/run.stamp
	@$(WHAT_IF)

# Writes the static site of WAREHOUSE_DIR (docs/dashboard.md): WAREHOUSE_DIR/dashboard/index.html.
dashboard: $(VENV)/run.stamp
	@$(BIN)/python -m dashboard site

# make statement CUSTOMER=1008 MONTH=2026-08 [OUTPUT=file.html]   one customer's month in one file
statement: $(VENV)/run.stamp
	@$(BIN)/python -m dashboard statement --customer="$$CUSTOMER" --month="$$MONTH" --output="$$OUTPUT"

# What the settings of a run need beside the packages for runs: the extraction, the object storage.
EXTRAS := $(if $(WORKATO_TOKEN)$(wildcard extraction.toml),$(VENV)/extract.stamp) \
	$(if $(findstring ://,$(EXTRACTS_DIR)$(JOB_HISTORY_DIR)),$(VENV)/store.stamp)

# Extraction, build, retention, dashboard and statements, with a log, a summary and notifications (docs/scheduling.md). make reports each
# failure as exit code 2; schedulers call the command itself.
scheduled-run: $(VENV)/run.stamp $(EXTRAS)
	@$(BIN)/python -m scheduled_run

# Checks that recomputing the stored deliveries of WAREHOUSE_DIR gives the published rows. VARS: the variables of the scheduled
# run. MONTH=2026-07: whether the close of a month still holds.
verify: $(VENV)/run.stamp
	@$(BIN)/python scripts/verify.py --vars="$$VARS" --month="$$MONTH"

# Keeps the figures of a month in a record that no build changes: make close MONTH=2026-07. FORCE=1: in spite of reasons.
close: $(VENV)/run.stamp
	@$(BIN)/python -B scripts/close_month.py --month="$$MONTH" --force="$$FORCE"

# From the vendor's figure to ours, and from our figure at the close to the one now: make bridge MONTH=2026-07 [CUSTOMER=1001]
bridge: $(VENV)/run.stamp
	@$(BIN)/python -B scripts/bridge.py --month="$$MONTH" --customer="$$CUSTOMER"

# Removes a load from the stored deliveries permanently: make forget-load LOAD=3. The next run computes everything without it.
forget-load: $(VENV)/run.stamp
	@$(BIN)/python -B scripts/forget_load.py --load="$$LOAD"

# Removes a customer from the warehouse: make forget CUSTOMER=1008 [CLOSES=remove] [CERTIFICATE=file] (docs/retention.md).
forget: $(VENV)/run.stamp
	@$(BIN)/python -B scripts/forget_customer.py --customer="$$CUSTOMER" --closes="$$CLOSES" --certificate="$$CERTIFICATE" \
		--vars="$$VARS"

# Reduces loads whose newest usage is older to what decides figures: make compact KEEP_MONTHS=25 (docs/retention.md).
compact: $(VENV)/run.stamp
	@$(BIN)/python -B scripts/compact.py --keep-months="$$KEEP_MONTHS"

# Measures this project, the shortest script, Polars and pandas; writes benchmarks/RESULTS.md. Takes a long time.
bench: .venv-bench/bench.stamp
	$(OPTIONS) BENCH .venv-bench/bin/python benchmarks/run.py

# Measures the forecasts of marts.usage_forecasts on made-up usage, beside other methods; writes the tables of docs/forecasts.md.
backtest: $(VENV)/run.stamp
	$(BIN)/python benchmarks/backtest.py

.venv-bench/bench.stamp: requirements-bench.txt
	$(MAKE) .venv-bench/run.stamp VENV=.venv-bench
	@$(INSTALL) .venv-bench requirements-bench.txt
	@touch $@

# Writes the sample extracts from the script that defines them.
sample: $(VENV)/run.stamp
	$(BIN)/python scripts/make_sample_extracts.py

# Pins the dependencies of pyproject.toml for every platform; "fewest" pins no second version for later Pythons. The developer's
# file comes first and limits the others: a package in two files has one version, so the tests run with the versions that ship
# (tests/test_requirements.py).
COMPILE = $(INSTALL) $(VENV) --compile --quiet --upgrade --universal --python-version=3.11 --fork-strategy=fewest \
	--generate-hashes --no-strip-extras --custom-compile-command="make requirements"
requirements:
	$(COMPILE) --group=install --output-file=requirements-uv.txt
	$(COMPILE) --group=duckdb-2 --output-file=requirements-duckdb-2.txt
	$(COMPILE) --group=schedulers --output-file=requirements-schedulers.txt
	$(COMPILE) --extra=dev --output-file=requirements-dev.txt pyproject.toml
	$(COMPILE) --constraint=requirements-dev.txt --output-file=requirements.txt pyproject.toml
	$(COMPILE) --extra=extract --constraint=requirements-dev.txt --output-file=requirements-extract.txt pyproject.toml
	$(COMPILE) --extra=store --constraint=requirements-dev.txt --output-file=requirements-store.txt pyproject.toml
	$(COMPILE) --extra=bench --constraint=requirements-dev.txt --output-file=requirements-bench.txt pyproject.toml
	$(COMPILE) --extra=spark --constraint=requirements-dev.txt --output-file=requirements-spark.txt pyproject.toml

clean:
	rm -rf .venv .venv-bench .venv-duckdb-2 .venv-schedulers .venv-spark target logs warehouse
