#!/usr/bin/env bash
# Learning results on a CPU: a preset over several seeds, one after another, each from nothing.
#
#   scripts/learn_cpu.sh PRESET FOLDER [SEED ...]
#
# Writes FOLDER/PRESET-SEED.json (the result and the machine), FOLDER/PRESET-SEED.jsonl (the record)
# and FOLDER/PRESET.png (the curves). Compilation is part of each run: no cache is kept between them.
# Two cores: cartpole-swingup about 5 minutes a seed, pwm-hopper-cpu about 20 to 30.
set -euo pipefail
preset=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- 0 1 2
mkdir -p "$folder"
runs=()
for seed in "$@"; do
  cache=$(mktemp -d)
  run="$preset-$seed-$(date +%Y%m%d-%H%M%S)"
  XDG_CACHE_HOME=$cache mjxwm train "$preset" --seed "$seed" --run "$run" --json "$folder/$preset-$seed.json"
  rm -rf "$cache"
  cp "runs/$run/metrics.jsonl" "$folder/$preset-$seed.jsonl"
  cp "runs/$run/system.json" "$folder/$preset-$seed-system.json"
  runs+=("runs/$run")
done
mjxwm plot "${runs[@]}" --out "$folder/$preset.png" --title "$preset"
