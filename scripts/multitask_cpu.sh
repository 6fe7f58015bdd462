#!/usr/bin/env bash
# From nothing to a policy for each of four tasks, on two CPU cores, timed part by part.
#
#     scripts/multitask_cpu.sh FOLDER [PRESET] [SEED]
#
# Collects, pre-trains, extracts and evaluates; the tables stay in FOLDER as JSON, `seconds` beside
# them, and `scripts/multitask_table.py FOLDER` prints all of it as one table.
set -euo pipefail
folder=${1:?where to put data, runs and tables} preset=${2:-mt4-cpu} seed=${3:-0}
mkdir -p "$folder"
timed() {
  local part=$1 start=$SECONDS
  shift
  mjxwm "$@"
  echo "$part $((SECONDS - start))" >>"$folder/seconds"
}
: >"$folder/seconds"
tasks=$(python -c "
from mjxwm import config, multitask
file = config.presets_folder() / 'multitask' / '$preset.yaml'
preset = config.load_yaml(multitask.Config, file)
print(*(task.name for task in multitask.task_set(preset.tasks)))")
timed collect collect "$preset" --data "$folder/data" --folder "$folder"
timed pretrain pretrain "$preset" --data "$folder/data" --folder "$folder" --run model --seed "$seed"
for task in $tasks; do
  timed "extract-$task" extract "$task" --model "$folder/model" --folder "$folder" --seed "$seed"
done
suite=$(tr ' ' , <<<"$tasks")
for who in policies prior planner; do
  timed "evaluate-$who" eval --suite "$suite," --model "$folder/model" --who "$who" \
    --json "$folder/$who.json"
done
