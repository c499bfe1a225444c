# The virtual environment of all targets; made when it is missing or its requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
REQUIREMENTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo page test-quick test test-full lint

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(INSTALLED)  ## draw data, train, evaluate, export and predict; less than 3 minutes on 2 cores
	@set -e; \
	run=demo_$$(date +%Y%m%d_%H%M%S); out=demo_output/$$run; started=$$(date +%s); \
	$(BIN)/python preparer/make_demo.py --output_dir demo_data; \
	$(BIN)/python melanoma_train.py --config configs/demo.yaml --run_name $$run; \
	$(BIN)/python -m src.scripts.export_model --checkpoint_path $$out/best_checkpoint.pth; \
	$(BIN)/python melanoma_eval.py --onnx_model_path $$out/best_checkpoint.onnx \
		--run_name $${run}_eval; \
	$(BIN)/python predict.py --onnx_model_path $$out/best_checkpoint.onnx --probabilities \
		--input_folder demo_data/isic2020/test/malignant --output_csv $$out/predictions.csv; \
	echo; \
	echo "Done in $$(( $$(date +%s) - started )) seconds."; \
	echo "  drawn images      demo_data/isic2020, demo_data/ham10000"; \
	echo "  run and metrics   $$out (metrics.json, by_group_test.png)"; \
	echo "  checkpoint, ONNX  $$out/best_checkpoint.pth, .onnx"; \
	echo "  ONNX evaluated    $${out}_eval (report.html is the page to read)"; \
	echo "  predictions       $$out/predictions.csv"

page: $(INSTALLED)  ## show the web page, with the model in weights/ or the demo's
	$(BIN)/python -m streamlit run streamlit_app.py

test-quick: $(INSTALLED)  ## run the tests that take moments; about 4 minutes
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test: $(INSTALLED)  ## run all tests; about 16 minutes on 2 cores
	$(BIN)/python -m pytest -n auto --dist loadfile --ignore tests/cluster/test_slurm.py
	$(BIN)/python -m pytest tests/cluster/test_slurm.py  # jobs start in time on a quiet machine

test-full: $(INSTALLED)  ## repeat the simulations at full size
	$(BIN)/python -m pytest --full -m simulation

lint: $(INSTALLED)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): $(REQUIREMENTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		".[dev]" -c constraints.txt
	$(BIN)/python -m pip check
	touch $@
