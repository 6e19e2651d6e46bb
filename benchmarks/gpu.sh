#!/usr/bin/env bash
# What a machine with a GPU shows of every part: the engine, training, the service.
#
#     benchmarks/gpu.sh OUT [BUNDLE]
#
# Each step has a time limit and writes OUT/STEP.txt; one that fails stops no other. Run it from the
# checkout; PYTHON names the interpreter. The limits add up to 14 minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$1 bundle=${2:-models/en}
export PYTHON=${PYTHON:-python3} PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export out bundle
mkdir -p "$out"

asr() { "$PYTHON" -c "from asr.cli import main; main()" "$@"; }
step() { # NAME SECONDS COMMAND…, a function or a program
    local name=$1 limit=$2 began=$SECONDS rc
    shift 2
    timeout -k 5 "$limit" bash -c '"$@"' _ "$@" > "$out/$name.txt" 2>&1
    rc=$?
    echo "== $name: exit $rc, $((SECONDS - began)) s"
    tail -n 40 "$out/$name.txt" | cut -c -300
}

smoke() { # PRECISION
    local run=$out/made/smoke-$1 began=$SECONDS
    asr fit --config configs/smoke.yaml --trainer.accelerator gpu --trainer.precision "$1" \
        --trainer.default_root_dir "$run" || return
    echo "trained in $((SECONDS - began)) s"
    asr export "$run/checkpoints/last.ckpt" "$run/bundle" || return
    for device in cuda cpu; do
        asr evaluate tests/data/train/manifest.jsonl --bundle "$run/bundle" --device "$device"
    done
}

corpus() { # 15 minutes: the ten clips of the tests again and again
    mkdir -p "$out/made/corpus"
    cp tests/data/train/* "$out/made/corpus"
    cp tests/data/noise/*.opus "$out/made/corpus/noise.opus"
    echo '{"audio": "noise.opus"}' > "$out/made/corpus/noise.jsonl"
    "$PYTHON" - "$out/made/corpus" <<'END'
import json, sys
from pathlib import Path
root = Path(sys.argv[1])
lines = [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]
many = [{**line, "id": f"{line['id']}-{n}"} for n in range(40) for line in lines]
(root / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in many))
END
}

recipe() { # The default recipe, three epochs
    corpus
    asr fit --config configs/default_en.yaml --data.root "$out/made/corpus" \
        --data.dev manifest.jsonl --data.shares null --data.shared_speakers allow \
        --data.cache "$out/made/cache" \
        --trainer.max_epochs 3 --trainer.default_root_dir "$out/made/recipe" || return
    asr export "$out/made/recipe/checkpoints/last.ckpt" "$out/made/recipe/bundle"
}

speed() {
    corpus
    "$PYTHON" benchmarks/train.py --root "$out/made/corpus" --cache "$out/made/cache" --steps 16 \
        --workers "${WORKERS:-4}"
}

ask() { # URL [FILE to post]
    "$PYTHON" - "$@" <<'END'
import sys, time, urllib.request
url, *file = sys.argv[1:]
body, began = open(file[0], "rb").read() if file else None, time.monotonic()
with urllib.request.urlopen(url, body) as answer:
    print(answer.status, answer.read().decode(), f"{time.monotonic() - began:.3f} s")
END
}

service() { # Two models, each in a process of its own, on one GPU
    local at=http://127.0.0.1:8123 models=$out/made/models
    mkdir -p "$models"
    cp -r "$out/made/smoke-auto/bundle" "$models/smoke"
    EARSHOT_DEVICE=${DEVICE:-cuda} EARSHOT_MODELS_FOLDER=$models "$PYTHON" \
        -c "from asr.cli import main; main()" serve --port 8123 --bundle "$bundle" &
    local server=$! began=$SECONDS
    until ask "$at/health/ready" 2> /dev/null; do
        kill -0 $server && ((SECONDS - began < 60)) && sleep 0.5 || return
    done
    echo "ready after $((SECONDS - began)) s"
    for model in en en smoke; do
        ask "$at/v1/transcribe?model=$model" samples/1272-141231-0000.flac
    done
    nvidia-smi --query-compute-apps=pid,used_memory --format=csv
    nvidia-smi --query-gpu=name,driver_version,memory.used --format=csv
    kill -TERM $server
    wait $server
    echo "the server ended with $?"
}

export -f asr ask smoke corpus recipe speed service
step engine 150 "$PYTHON" benchmarks/gpu.py --bundle "$bundle"
step test 90 "$PYTHON" -m pytest -q -m gpu -p no:cacheprovider -W ignore \
    tests/runtime/test_recognizer.py
step smoke-auto 90 smoke auto
step smoke-32 90 smoke 32-true
step recipe 90 recipe
step speed 90 speed
step service 90 service
step load 100 "$PYTHON" benchmarks/serve.py --device "${DEVICE:-cuda}" --seconds 4 \
    --bundle "$bundle"
step doctor 60 asr doctor --bundle "$bundle"
