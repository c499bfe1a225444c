#!/usr/bin/env bash
# Train on what this machine has (a GPU where there is one): ./train.sh --config configs/demo.yaml
set -euo pipefail
cd "$(dirname "$0")"
exec "${PYTHON:-python}" melanoma_train.py "$@"
