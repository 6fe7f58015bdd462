#!/usr/bin/env bash
# An example: one run on all GPUs of two machines under SLURM. Copy it, and change what is yours.
#
#   sbatch scripts/launch/slurm.sh pwm-humanoid humanoid-16
#
# One process per machine, each with all of its GPUs; JAX finds the others through SLURM's
# variables. The folder of the runs must be one that all machines see. Sizes (worlds, batch,
# imagine_batch) are those of the whole run and must be multiples of the number of GPUs.
# Two minutes before its time is over, and when the job is preempted, the run saves itself and ends
# with status 143; the job is queued again, and its command goes on with the run (--go-on).
#SBATCH --job-name=mjxwm
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

preset=${1:?a preset, such as pwm-humanoid}
name=${2:?a name for the run}
folder=${RUNS:-$PWD/runs}

# Left to itself, JAX takes one GPU per task.
JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((SLURM_GPUS_ON_NODE - 1)))
export JAX_LOCAL_DEVICE_IDS

status=0
srun mjxwm train "$preset" --devices all --distributed --folder "$folder" --run "$name" --go-on \
  --no-video || status=$?
if [ "$status" -eq 143 ]; then # saved; other statuses (a mistake is 2) would come again
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
