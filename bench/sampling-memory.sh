#!/bin/sh
# By how much the peak memory of sampling grows from 1 to 8 and 32 pictures, dit4j beside PyTorch (DiT-S/2 on 64x64 pixels, CPU, float32).
#   bench/sampling-memory.sh        needs GNU time and a Python with torch (PY=python3), and 6 GB of memory
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dit=$here/../dit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$dit" train --data-path glyphs --model DiT-S/2 --image-size 64 --global-batch-size 1 --max-steps 1 --sample-every 0 --device cpu \
    --results-dir r >/dev/null 2>&1
ours() {
    /usr/bin/time -f %M "$dit" sample --ckpt r/000-DiT-S-2 --class star --count "$1" --num-sampling-steps 2 --device cpu --out "s$1" 2>&1 >/dev/null |
        tail -n 1
}
theirs() { (cd "$here" && "${PY:-python3}" sampling_memory.py "$1"); }
o1=$(ours 1) t1=$(theirs 1)
echo "1 picture: dit4j $((o1 / 1024)) MiB, PyTorch $((t1 / 1024)) MiB"
for count in 8 32; do
    o=$(ours $count) t=$(theirs $count)
    echo "$count pictures: dit4j $((o / 1024)) MiB, PyTorch $((t / 1024)) MiB; growth $(((o - o1) / 1024)) and $(((t - t1) / 1024)) MiB, ratio" \
        "$(awk "BEGIN { printf \"%.2f\", ($o - $o1) / ($t - $t1) }")"
done
