#!/usr/bin/env bash
# Judge a checkpoint on its test rows: ./test.sh --checkpoint RUN/best_checkpoint.pth
set -euo pipefail
cd "$(dirname "$0")"
exec "${PYTHON:-python}" melanoma_train.py --test "$@"
