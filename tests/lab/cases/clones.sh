# SPDX-License-Identifier: Apache-2.0
# Many machines from one snapshot. On the newer kernel, whose driver for the VM generation id makes a copy
# draw other random numbers.
# shellcheck shell=sh
# shellcheck disable=SC2154  # vm_… variables are set by vm.sh

clone_count=10

# randoms: the guest's lines as "NUMBER BYTES forks=N base=TEXT".
randoms() {
    tr -d '\r' <"$vm_dir/serial" | sed -n 's/^guest: random \([0-9]* [0-9a-f]\{32\} forks=.* base=.*\)$/\1/p'
}

# The machine that is cloned: two disks, one of them read-only and shared by all.
prepare_origin() {
    use_machine origin
    vm_prepare
    make_disk base 1
    vm_start random --memory size=192M --disk "path=$vm_dir/base,readonly=on,id=base" --api-socket "$vm_dir/api"
    vm_wait_for "guest: random 3 " 90 || fail "the guest did not come up"
    vm_ctl pause && vm_ctl snapshot "$vm_dir/snapshot" 2>/dev/null || fail "no snapshot"
    vm_kill
    chmod -R a-w "$vm_dir/snapshot"
}

start_clones() {
    clone=0
    while [ $clone -lt $clone_count ]; do
        clone=$((clone + 1))
        vm_dir=/scratch/clone-$clone
        mkdir "$vm_dir"
        cp /scratch/origin/root.ext4 "$vm_dir/"
        vm_restore /scratch/origin/snapshot,memory_restore_mode=ondemand,resume=on \
            --disk "id=root,path=$vm_dir/root.ext4" --serial "file=$vm_dir/serial" --name "clone-$clone"
    done
}

# for_each_clone COMMAND...
for_each_clone() {
    clone=0
    while [ $clone -lt $clone_count ]; do
        clone=$((clone + 1))
        use_machine clone-$clone
        vm_pid=$(cat "$vm_dir/pid")
        "$@"
    done
}

clone_noticed_the_fork() {
    vm_wait_for ' forks=1 base=first level wrote base' 90 ||
        fail "clone $clone did not notice that it is a copy, or reads another base: $(randoms | tail -n 1)"
}

clone_user_ids() {
    for status in $(foreign_processes | sed 's/^\([0-9]*\) .*$/\/proc\/\1\/status/'); do
        sed -n 's/^Uid:[^0-9]*\([0-9]*\).*$/\1/p' "$status"
    done | sort | uniq -c
}

# The first 32 hexadecimal digits of every line that a clone printed since it was restored.
clone_random_bytes() {
    randoms | cut -d ' ' -f 2
}

clone_powers_off() {
    vm_ctl power-button || fail "clone $clone: no power button"
}

# What the clone drew is in its own disk, and nothing of another one's.
clone_ended() {
    expect_end random
    expect_clean_file_system
    mkdir -p /mnt/image
    mount -t ext4 -o loop,ro,noload "$vm_dir/root.ext4" /mnt/image || fail "the disk of clone $clone does not mount"
    tail -n "$(randoms | wc -l)" /mnt/image/random >/tmp/on-disk
    umount /mnt/image
    clone_random_bytes | cmp -s - /tmp/on-disk || fail "the disk of clone $clone does not hold what it wrote"
}

case_ten_clones_draw_different_numbers_and_have_disks_and_users_of_their_own() {
    vm_is_standin && skip "about snapshots"
    [ -d /lab/guest-backports ] || skip "needs the newer kernel: run with --guest stable,backports"
    lab_guest=/lab/guest-backports
    prepare_origin
    start_clones
    for_each_clone clone_noticed_the_fork
    shared=$(clone_user_ids | awk '$2 != 0 && $1 > 1')
    [ -z "$shared" ] || fail "processes share user ids: $shared"
    for_each_clone clone_powers_off
    for_each_clone clone_ended
    repeated=$(for_each_clone clone_random_bytes | sort | uniq -d)
    [ -z "$repeated" ] || fail "several clones drew $repeated"
    before=$(cat /scratch/origin/base)
    expect "the shared disk" "$before" "first level wrote base"
}
