#!/usr/bin/env bash
# Train on what this machine has (a GPU where there is one): ./train.sh --config configs/demo.yaml
set -euo pipefail
exec "${PYTHON:-python}" "$(dirname "$0")/melanoma_train.py" "$@"
