# SPDX-License-Identifier: Apache-2.0
#
# What a machine may not leave behind in the first level: processes, mounts, cgroups. Sourced by suite, which calls
# before_case, after_case and, when a case failed, kill_leftovers.
# shellcheck shell=sh

# Everything in the first level but the programs under test is busybox; kernel threads have no executable.
foreign_processes() {
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        [ -z "$program" ] || [ "$program" = /bin/busybox ] || echo "${process#/proc/} $program"
    done
}

host_mounts() { sort /proc/self/mounts; }

host_cgroups() { find /sys/fs/cgroup -type d | sort; }

before_case() {
    host_mounts >/tmp/mounts.before
    host_cgroups >/tmp/cgroups.before
}

# Every case that passed must also have left nothing; what is on its way out gets two seconds.
after_case() {
    tries=0
    while [ -n "$(foreign_processes)" ] && [ $tries -lt 20 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    [ -z "$(foreign_processes)" ] || fail "processes left behind: $(foreign_processes | tr '\n' ';')"
    host_mounts | cmp -s - /tmp/mounts.before || fail "mounts left behind: $(host_mounts | diff /tmp/mounts.before - | tr '\n' ';')"
    host_cgroups | cmp -s - /tmp/cgroups.before || fail "cgroups left behind: $(host_cgroups | diff /tmp/cgroups.before - | tr '\n' ';')"
}

# After a case that failed: the next one starts clean all the same. Only here is everything foreign ended, in a
# machine that holds nothing else.
kill_leftovers() {
    foreign_processes | while read -r pid program; do
        echo "ending leftover process $pid $program"
        kill -9 "$pid" 2>/dev/null
    done
    true
}
