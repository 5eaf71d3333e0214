#!/bin/bash
# A plan on several nodes of Slurm: sbatch examples/cluster/slurm.sh plan.yaml
# Plan, models and results lie in a folder that all nodes see; secateur[ray] is installed in .venv there.
#SBATCH --job-name=secateur
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail
plan=${1:?usage: sbatch slurm.sh PLAN}
. .venv/bin/activate

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
address="$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | cut -d' ' -f1):$port"

srun --nodes=1 --ntasks=1 -w "$head" \
    ray start --head --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block &
sleep 20
if ((${#nodes[@]} > 1)); then
    others=$(IFS=,; echo "${nodes[*]:1}")
    srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) -w "$others" \
        ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block &
fi

# 1 and 2 are verdicts. Killed at any moment, the same command goes on where it stopped.
code=0
secateur run "$plan" --executor ray --address "$address" || code=$?
exit "$code"
