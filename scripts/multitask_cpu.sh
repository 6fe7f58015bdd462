#!/usr/bin/env bash
# From nothing to a policy for each of four tasks, on two CPU cores, timed part by part.
#
#     scripts/multitask_cpu.sh FOLDER [PRESET] [SEED]
#
# Collects, pre-trains, extracts and evaluates. Where tasks are on their own, two at a time, each on
# a core of its own: one small network leaves one of two cores idle, and two that share both get in
# each other's way. The tables stay in FOLDER as JSON, `seconds` beside them (wall clock; `collect-TASK`
# and `extract-TASK` overlap in pairs), and `scripts/multitask_table.py FOLDER` prints all of it.
#
# The planner takes seconds per action here, hours for a table. Its time: `mjxwm bench planner --size 1M
# --task-set mt4`; what it reaches: `mjxwm eval --suite mt4 --model FOLDER/model --who planner
# --episodes 1 --json FOLDER/planner.json`, which the table shows where it is there.
set -euo pipefail
export folder=${1:?where to put data, runs and tables} preset=${2:-mt4-cpu} seed=${3:-0}
mkdir -p "$folder/logs"
: >"$folder/seconds"
timed() {
  local part=$1 start=$SECONDS
  shift
  "$@" >"$folder/logs/$part" 2>&1 || { tail -n 20 "$folder/logs/$part"; return 1; }
  echo "$part $((SECONDS - start))" | tee -a "$folder/seconds"
}
in_pairs() {  # PART COMMAND...: with a task's name in the place of {}, for every task
  tr ' ' '\n' <<<"$tasks" | xargs -P 2 --process-slot-var=core -I{} \
    bash -euo pipefail -c 'timed "$1" pinned "${@:2}"' _ "$1-{}" "${@:2}"
}
pinned() {  # to the core of this slot, where the system can
  local free
  command -v taskset >/dev/null || { "$@"; return; }
  read -ra free <<<"$(python -c 'import os; print(*sorted(os.sched_getaffinity(0)))')"
  taskset -c "${free[$((core % ${#free[@]}))]}" "$@"
}
export -f timed pinned
tasks=$(python -c "
from mjxwm.algos import multitask
from mjxwm.cli.arguments import presets
tasks = presets.load_multitask('$preset').tasks
print(*(task.name for task in multitask.task_set(tasks)))")
in_pairs collect \
  mjxwm collect "$preset" --only {} --data "$folder/data" --folder "$folder" --seed "$seed"
timed pretrain \
  mjxwm pretrain "$preset" --data "$folder/data" --folder "$folder" --run model --seed "$seed"
in_pairs extract mjxwm extract {} --model "$folder/model" --folder "$folder" --seed "$seed"
# 100 episodes, because a few starts are much harder than others: in 10 episodes one that fails is
# a tenth of the mean.
in_pairs evaluate-single \
  mjxwm eval "$folder/$preset-{}-$seed" --episodes 100 --json "$folder/single-{}.json"
suite=$(tr ' ' , <<<"$tasks")
for who in policies prior; do
  timed "evaluate-$who" mjxwm eval --suite "$suite," --model "$folder/model" --who "$who" \
    --episodes 100 --json "$folder/$who.json"
done
echo "all $SECONDS" | tee -a "$folder/seconds"
