#!/usr/bin/env bash
# Train on all GPUs of this machine, or its CPU: ./train.sh --config configs/demo.yaml
# One process on a CPU or a single GPU, else one per GPU that CUDA_VISIBLE_DEVICES exposes.
# NPROC=2 ./train.sh ... sets the number, also on a CPU.
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
# without --, torchrun takes --monitor and others for abbreviations of its own flags
exec "$python" -m torch.distributed.run --standalone --nproc-per-node="$processes" -- "$program" "$@"
