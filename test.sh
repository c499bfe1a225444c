#!/usr/bin/env bash
# Evaluate a checkpoint on its test set, launched like train.sh: ./test.sh --checkpoint RUN/best_checkpoint.pth
set -euo pipefail
exec "$(dirname "$0")/train.sh" --test "$@"
