#!/usr/bin/env bash
# dit4j and PyTorch on the same machine, in turn: compare.sh train|forward MODEL BATCH [ROUNDS]
#   compare.sh train DiT-XL/2 64          on a card: dit4j in bf16, PyTorch compiled, under autocast in training, in bf16 else
#   DEVICE=cpu PRECISION=fp32 PEER_PRECISION=fp32 COMPILE=none compare.sh forward DiT-S/2 4
# PYTHON has PyTorch. Prints a line of JSON for each run, then the medians and their ratio.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mode=${1:?train or forward} model=${2:?a model, such as DiT-XL/2} batch=${3:?images at once} rounds=${4:-5}
device=${DEVICE:-cuda} precision=${PRECISION:-bf16} compile=${COMPILE:-default}
[ "$mode" = train ] && given=autocast || given=bf16
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for ((i = 0; i < rounds; i++)); do
    "$here/../dit" bench "$mode" --model "$model" --batch "$batch" --precision "$precision" --device "$device" --json | tee -a "$work/ours"
    "${PYTHON:-python3}" "$here/dit_torch.py" "$mode" --model "${model#DiT-}" --batch "$batch" --device "$device" --compile "$compile" \
        --precision "${PEER_PRECISION:-$given}" | tee -a "$work/peer"
done
"${PYTHON:-python3}" - "$work/ours" "$work/peer" <<'P'
import json, statistics, sys
times = [[json.loads(line)["ms"] for line in open(name)] for name in sys.argv[1:]]
ours, peer = map(statistics.median, times)
print(f"dit4j {ours:.2f} ms ({min(times[0]):.2f} … {max(times[0]):.2f}), PyTorch {peer:.2f} ms ({min(times[1]):.2f} … {max(times[1]):.2f}): {peer / ours:.2f} times as fast")
P
