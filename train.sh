#!/usr/bin/env bash
# Train on what this machine has: ./train.sh --config configs/demo.yaml
# One process on a CPU or one GPU; one for each GPU of those that CUDA_VISIBLE_DEVICES leaves.
# NPROC=2 ./train.sh ... says how many, on a CPU too.
set -euo pipefail
python=${PYTHON:-python}
program=$(dirname "$0")/melanoma_train.py
processes=${NPROC:-$("$python" -c 'import torch; print(max(1, torch.cuda.device_count()))')}
case $processes in
'' | 0* | *[!0-9]*)
    echo "error: NPROC=$processes: expected a whole number, 1 or more" >&2
    exit 2
    ;;
1) exec "$python" "$program" "$@" ;;
esac
# -- since torchrun would take --monitor and others for a start of its own flags
exec "$python" -m torch.distributed.run --standalone --nproc-per-node="$processes" -- "$program" "$@"
