#!/usr/bin/env bash
# Judge a checkpoint on its test rows, started as train.sh is: ./test.sh --checkpoint RUN/best_checkpoint.pth
set -euo pipefail
exec "$(dirname "$0")/train.sh" --test "$@"
