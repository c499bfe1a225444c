#!/usr/bin/env bash
# Judge a checkpoint on its test rows: ./test.sh --checkpoint RUN/best_checkpoint.pth
set -euo pipefail
exec "${PYTHON:-python}" "$(dirname "$0")/melanoma_train.py" --test "$@"
