#!/usr/bin/env bash
# Train in several processes by torchrun: one a GPU, on one machine or on many.
#
#   PROCESSES=4 configs/cluster/torchrun.sh --config configs/librispeech_960.yaml …
#   NODES=2 HEAD=first-machine:29500 PROCESSES=4 configs/cluster/torchrun.sh …    (on each of them)
#
# What follows goes to `asr fit`, `--resume RUN` too. All machines see the same files.
set -euo pipefail

exec torchrun \
  --nnodes "${NODES:-1}" --nproc-per-node "${PROCESSES:-1}" \
  --rdzv-backend c10d --rdzv-endpoint "${HEAD:-127.0.0.1:0}" \
  --no-python asr fit "$@" \
  --trainer.num_nodes "${NODES:-1}" --trainer.devices "${PROCESSES:-1}" --trainer.strategy ddp
