# SPDX-License-Identifier: Apache-2.0
#
# Running a virtual machine monitor inside the first level, controlling it, and reading what its guest said; sourced by
# suite, demo and bench-boot.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC3043  # variables are read by the sourcing script; busybox sh has local

# The program under test, with Bulkhead's command line. qemu-standin takes its place to try the lab itself.
LAB_VMM=${LAB_VMM:-/opt/bulkhead/bin/bulkhead}
lab_ctl=${LAB_VMM%/*}/bulkheadctl
# What the guest boots from, and a folder for the machine that is running; emptied for each.
lab_guest=${LAB_GUEST:-/lab/guest}
vm_dir=${LAB_VM_DIR:-/scratch/vm}

# What every guest is started with; a scenario list and extra options are appended.
vm_cmdline="console=ttyS0 quiet panic=-1"

vm_is_standin() {
    [ "${LAB_VMM##*/}" = qemu-standin ]
}

# vm_prepare: an empty folder for one machine with a fresh copy of the root disk.
vm_prepare() {
    rm -rf "$vm_dir"
    mkdir -p "$vm_dir"
    cp "$lab_guest/root.ext4" "$vm_dir/root.ext4"
}

# vm_start SCENARIOS OPTION...: starts the machine with its serial port, log and exit status in $vm_dir. Later options
# follow the common ones; --kernel, --cpus and --memory have defaults. `vm_pid` is the monitor's main process. --append
# adds to the kernel command line.
vm_start() {
    local scenarios=$1 kernel=$lab_guest/vmlinuz cpus=boot=1 memory=size=512M extra=''
    shift
    while :; do
        case ${1-} in
            --kernel) kernel=$2 ;;
            --cpus) cpus=$2 ;;
            --memory) memory=$2 ;;
            --append) extra="$extra $2" ;;
            *) break ;;
        esac
        shift 2
    done
    case " $* " in *" --console "*) ;; *) set -- "$@" --console off ;; esac
    vm_launch --kernel "$kernel" --initramfs "$lab_guest/initramfs.cpio" --cpus "$cpus" --memory "$memory" \
        --cmdline "$vm_cmdline bulkhead.scenario=$scenarios$extra" \
        --disk "path=$vm_dir/root.ext4,id=root${vm_root_options:+,$vm_root_options}" --rng src=/dev/urandom \
        --serial "file=$vm_dir/serial" "$@"
}

# vm_launch ARGUMENT...: the monitor with its log and exit status in $vm_dir. The wrapper shell waits for it
# and has no other part in it.
vm_launch() {
    rm -f "$vm_dir/pid" "$vm_dir/status"
    (
        "$LAB_VMM" "$@" --log-file "$vm_dir/log" >>"$vm_dir/output" 2>&1 &
        echo $! >"$vm_dir/pid"
        wait $!
        echo $? >"$vm_dir/status"
    ) 2>/dev/null &
    while [ ! -s "$vm_dir/pid" ]; do sleep 0.02; done
    vm_pid=$(cat "$vm_dir/pid")
}

# vm_restore DIRECTORY[,KEY=VALUE...] OPTION...: starts a machine from a snapshot. It is controlled through $vm_dir/api,
# as one is that was started with --api-socket "$vm_dir/api".
vm_restore() {
    local source=$1
    shift
    vm_launch --restore "source_url=file://$source" --api-socket "$vm_dir/api" "$@"
}

# vm_ctl VERB [ARGUMENT]...: one command over the machine's socket.
vm_ctl() {
    "$lab_ctl" --socket "$vm_dir/api" "$@"
}

# vm_answers SECONDS: waits until the machine's socket is served and the machine is neither starting nor being restored.
vm_answers() {
    local tenths=$(($1 * 10)) state
    while :; do
        state=$(vm_ctl --json info 2>/dev/null | sed -n 's/^.*"state": *"\([A-Za-z]*\)".*$/\1/p' | tail -n 1)
        case $state in Running | Paused) return 0 ;; esac
        [ $tenths -gt 0 ] && [ ! -s "$vm_dir/status" ] || return 1
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# vm_kill: ends the machine without warning, as a crash of the host would.
vm_kill() {
    kill -KILL "$vm_pid" 2>/dev/null
    vm_wait 10
}

# vm_wait SECONDS: waits for the monitor to end; `vm_status` is its exit status. After the deadline the monitor is
# killed and the result is 1.
vm_wait() {
    local tenths=$(($1 * 10))
    while [ ! -s "$vm_dir/status" ] && [ $tenths -gt 0 ]; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    if [ ! -s "$vm_dir/status" ]; then
        kill -9 "$vm_pid"
        while [ ! -s "$vm_dir/status" ]; do sleep 0.02; done
        vm_status=timeout
        return 1
    fi
    vm_status=$(cat "$vm_dir/status")
}

# vm_wait_for TEXT SECONDS: waits until the guest has printed TEXT; 1 when the monitor ended or time is up.
vm_wait_for() {
    local tenths=$(($2 * 10))
    while ! grep -q "$1" "$vm_dir/serial" 2>/dev/null; do
        [ $tenths -gt 0 ] && [ ! -s "$vm_dir/status" ] || return 1
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# vm_said TEXT: whether the guest printed a line that is exactly TEXT.
vm_said() {
    tr -d '\r' <"$vm_dir/serial" | grep -qxF "$1"
}

# vm_fact KEY: the values the guest reported under KEY, one line each.
vm_fact() {
    tr -d '\r' <"$vm_dir/serial" | sed -n "s/^guest: fact $1 //p"
}

# vm_show: everything there is to see about a machine that did not do what it should.
vm_show() {
    local file
    for file in output log serial; do
        [ -s "$vm_dir/$file" ] || continue
        echo "--- $file (last 60 lines)"
        tail -n 60 "$vm_dir/$file" | tr -d '\r'
    done
    [ ! -s "$vm_dir/status" ] || echo "--- the monitor's exit status: $(cat "$vm_dir/status")"
    dmesg | grep -E 'audit: type=1326|Out of memory|oom-kill|segfault' | tail -n 3
    echo "--- end"
}

# vm_uptime_ms: milliseconds since the first level started.
vm_uptime_ms() {
    local seconds rest
    read -r seconds rest </proc/uptime
    echo $((${seconds%.*} * 1000 + 1${seconds#*.} * 10 - 1000))
}
