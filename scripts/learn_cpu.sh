#!/usr/bin/env bash
# Learning results on a CPU: a preset over several seeds, one after another, each from nothing.
#
#   scripts/learn_cpu.sh PRESET FOLDER [SEED ...]
#
# Writes FOLDER/PRESET-SEED.json (the result), FOLDER/runs.json (evaluations, settings, machine) and
# FOLDER/PRESET.png (the curves). Compilation is part of each run: no cache is kept between them.
# Two cores: cartpole-swingup two and a half minutes a seed, pwm-hopper-cpu about 20 to 30.
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
  runs+=("runs/$run")
done
python "$(dirname "$0")/summarise.py" "${runs[@]}" --out "$folder/runs.json"
mjxwm plot "${runs[@]}" --out "$folder/$preset.png" --title "$preset"
