# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Started by an ordinary user who may open /dev/kvm: the same sandbox, by user namespaces.

USER_ID=65534

# Programs and guests where that user can read them, and a /dev/kvm of its own in a private mount namespace.
user_prepare() {
	[ "$(id -u)" = 0 ] || skip "this is an ordinary user already"
	command -v setpriv >/dev/null && command -v unshare >/dev/null || skip "setpriv(1) or unshare(1) is missing"
	user_folder=$(mktemp -d /tmp/bulkhead-native.XXXXXX)
	cp "$build"/bin/bulkhead* "$(guest watch)" "$user_folder"
	disk_make "$user_folder/disk"
	mkdir "$user_folder/dev"
	chmod -R a+rX "$user_folder"
	chown -R "$USER_ID:$USER_ID" "$user_folder/disk" "$user_folder"
	: >"$T/err"
	: >"$T/out"
	trap 'rm -rf "$user_folder"' EXIT
}

user_start() { # OPTIONS…
	mkfifo "$T/in"
	chmod 666 "$T/in" "$T/out" "$T/err"
	exec {input}<>"$T/in"
	# shellcheck disable=SC2016  # expanded inside
	unshare -m sh -c 'mount -t tmpfs -o dev,mode=755 tmpfs "$1/dev" && mknod -m 666 "$1/dev/kvm" c 10 232 &&
		mount --bind "$1/dev/kvm" /dev/kvm && user=$2 && shift 2 &&
		exec setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"' \
		sh "$user_folder" $USER_ID "$user_folder/bulkhead" --name "$NAME" "$@" <"$T/in" >"$T/out" 2>"$T/err" &
	core=$!
}

case_user_without_privileges() {
	local worker
	user_prepare
	user_start --kernel "$user_folder/watch.elf" --memory size=32M --disk path="$user_folder/disk" \
		--rng src=/dev/urandom --console null
	wait_until 30 grep -q '^TICK 0.*;$' "$T/out" || fail "the guest does not come up: $(tail -n 1 "$T/err")"
	workers="$(worker_pid disk0) $(worker_pid rng) $(worker_pid console)"
	[ "$(wc -w <<<"$workers")" -eq 3 ] || fail "there are not three workers: $workers"
	expect_locked "$core"
	for worker in $workers; do
		expect_locked "$worker"
		[ "$(id_of "$worker" Uid)" = $USER_ID ] || fail "worker $worker has the uid $(id_of "$worker" Uid)"
		for name in $namespaces; do
			[ "$(readlink "/proc/$worker/ns/$name")" != "$(readlink "/proc/self/ns/$name")" ] ||
				fail "worker $worker shares the $name namespace"
		done
		[ -z "$(ls -A "/proc/$worker/root/")" ] || fail "worker $worker sees files"
	done
	expect_ticks 2 'blk0=ok rng0=ok console0=ok'
	kill -KILL "$(worker_pid rng)"
	expect_ticks 3 'blk0=ok rng0=needs-reset console0=ok'
	vm_quit
}

case_user_death() {
	local round
	user_prepare
	for round in 1 2 3 4 5 6; do
		rm -f "$T/in"
		user_start --kernel "$user_folder/watch.elf" --memory size=32M --disk path="$user_folder/disk" \
			--rng src=/dev/urandom --console null
		sleep "0.$(printf %03d "$(random_below 200)")"
		if [ $((round % 2)) -eq 0 ]; then
			kill -KILL "$core"
		else
			kill -KILL "$(broker_pid)" 2>/dev/null || kill -KILL "$core"
		fi
		vm_wait 25
		vm_left_nothing || fail "round $round: $(describe_left)"
		exec {input}>&-
	done
}
