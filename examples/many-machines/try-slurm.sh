#!/bin/bash
# Plays slurm-array.sh on this machine alone: Slurm from Debian's packages (apt-get install slurm-wlm munge), with a controller and
# several node daemons, a broker, the array, and `merge`. Needs root. `try-slurm.sh [TASKS] [NODES]`; mqtt-sessions stands in PATH.
# All that it starts ends with it, and what it writes stands in one folder below /tmp.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tasks=${1:-8}
nodes=${2:-4}
folder=$(mktemp -d /tmp/mqtt-sessions-slurm.XXXXXX)
chmod 755 "$folder"
started=()
ends() {
    for pid in "${started[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait
}
trap ends EXIT

# Starts a command in the background with its output in a file.
start() {
    local log=$1
    shift
    "$@" > "$folder/$log.log" 2>&1 &
    started+=($!)
}

# Waits until a command succeeds, half a minute at most.
until_it_works() {
    local end=$((SECONDS + 30))
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || { echo "error: $* does not work; see the logs in $folder" >&2; exit 1; }
        sleep 0.2
    done
}

# Daemons of Slurm believe whoever knows this key.
mkdir -p "$folder/munge"
head -c 1024 /dev/urandom > "$folder/munge/key"
chmod 400 "$folder/munge/key"
start munge munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
until_it_works munge --socket="$folder/munge/socket" --no-input

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
host=$(hostname -s)
{
    echo "ClusterName=one-machine"
    echo "SlurmctldHost=$host(127.0.0.1)"
    echo "SlurmctldPort=$(port)"
    echo "SlurmUser=root"
    echo "AuthType=auth/munge"
    echo "AuthInfo=socket=$folder/munge/socket"
    echo "CredType=cred/munge"
    echo "ProctrackType=proctrack/pgid"
    echo "TaskPlugin=task/none"
    echo "SelectType=select/cons_tres"
    echo "SelectTypeParameters=CR_Core"
    echo "StateSaveLocation=$folder/state"
    echo "SlurmdSpoolDir=$folder/spool-%n"
    echo "SlurmctldPidFile=$folder/slurmctld.pid"
    echo "SlurmdPidFile=$folder/slurmd-%n.pid"
    echo "ReturnToService=2"
    # Several nodes of one machine say that they have all of its processors.
    echo "SlurmdParameters=config_overrides"
    for node in $(seq "$nodes"); do
        echo "NodeName=node$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$(port) CPUs=1"
    done
    echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
} > "$folder/slurm.conf"
mkdir -p "$folder/state"
export SLURM_CONF=$folder/slurm.conf
start slurmctld slurmctld -D
for node in $(seq "$nodes"); do start "slurmd-$node" slurmd -D -N "node$node"; done
all_are_idle() { [ "$(sinfo --noheader --format=%D --states=idle)" = "$nodes" ]; }
until_it_works all_are_idle
sinfo

broker_port=$(port)
printf 'listener %s 127.0.0.1\nallow_anonymous true\npersistence false\n' "$broker_port" > "$folder/mosquitto.conf"
start mosquitto "$(PATH=$PATH:/usr/sbin command -v mosquitto)" -c "$folder/mosquitto.conf"
export BROKER=mqtt://127.0.0.1:$broker_port PARTS=$folder/parts
until_it_works mqtt-sessions doctor "$BROKER"

cd "$folder"
job=$(sbatch --parsable --array="1-$tasks" "$here/slurm-array.sh")
echo "sbatch: job $job with $tasks tasks"
# Half an hour is more than any array needs here.
for second in $(seq 1800); do
    [ -n "$(squeue --noheader --jobs="$job" 2> /dev/null)" ] || break
    sleep 1
done
ls -l --time-style=+ "$PARTS" | awk 'NR > 1 { print $NF, $5 " bytes" }'
for task in $(seq "$tasks"); do
    [ -s "$PARTS/$task.json" ] || { echo "error: no task wrote $task.json; see the logs in $folder" >&2; exit 1; }
done
code=0
mqtt-sessions merge "$PARTS"/*.json --export-json "$folder/all.json" > "$folder/merged.txt" || code=$?
grep 'cells: ' "$folder/merged.txt" || true
echo "merge: exit code $code, $folder/all.json"
case $code in 0 | 1 | 3) ;; *) exit "$code" ;; esac
# The parts together are what one run finds.
mqtt-sessions run --all --broker "$BROKER" --export-json "$folder/whole.json" > "$folder/whole.txt" || true
mqtt-sessions compare "$folder/whole.json" "$folder/all.json"
