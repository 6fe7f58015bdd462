#!/usr/bin/env bash
# Ways of extracting a policy from a frozen model without imitation, one after the other on one core.
#
#     scripts/extraction_ways.sh MODEL FOLDER [SEED] [TASK...]
#
# MODEL is the run of a model, with its data set where it was. Each way is a run in FOLDER, evaluated
# over 100 episodes into a JSON file beside it. `python scripts/extraction_study.py FOLDER/*-SEED`
# then says what the model gets wrong where each policy goes.
set -euo pipefail
model=${1:?the run of a model} folder=${2:?where to put runs and tables} seed=${3:-0}
shift $(($# < 3 ? $# : 3))
(($#)) || set -- walker-stand cartpole-swingup reacher-easy cup-catch
declare -A ways=(
  [plain]="--imitation 0"
  [disagreement-1]="--imitation 0 --disagreement 1"
  [disagreement-3]="--imitation 0 --disagreement 3"
  [conservatism]="--imitation 0 --conservatism 0.1"
  [data-values]="--imitation 0 --data-values"
  [data-values-disagreement]="--imitation 0 --data-values --disagreement 1"
  [horizon-2]="--imitation 0 --horizon 2"
  [horizon-16]="--imitation 0 --horizon 16"
)
order=(plain disagreement-1 data-values conservatism disagreement-3 data-values-disagreement
  horizon-2 horizon-16)
mkdir -p "$folder"
for way in "${order[@]}"; do
  for task in "$@"; do
    run=$way-$task-$seed
    [[ -f $folder/$run.json ]] && continue
    # shellcheck disable=SC2086  # several options
    mjxwm extract "$task" --model "$model" --folder "$folder" --run "$run" --seed "$seed" \
      ${ways[$way]} >"$folder/$run.log" 2>&1
    mjxwm eval "$folder/$run" --episodes 100 --json "$folder/$run.json" >>"$folder/$run.log"
    echo "$run $(python -c 'import json, sys
print(round(json.load(open(sys.argv[1]))["eval_return_mean"], 1))' "$folder/$run.json")"
  done
done
