# SPDX-License-Identifier: Apache-2.0
# What is installed for the service manager and the shell.
# shellcheck shell=bash
# shellcheck disable=SC2154

case_the_service_unit_passes_its_verifier() {
	command -v systemd-analyze >/dev/null || skip "no systemd-analyze"
	mkdir -p "$dir/bin"
	ln -s "$(realpath "$build")/bin/bulkhead" "$(realpath "$build")/bin/bulkheadctl" "$dir/bin/"
	sed "s,@PREFIX@,$dir," vmm/ctl/systemd/bulkhead@.service.in >"$dir/bulkhead@web.service"
	# Units of this machine that it names are not of interest.
	systemd-analyze verify --man=no --recursive-errors=no "$dir/bulkhead@web.service" >"$dir/verify" 2>&1 ||
		fail "$(cat "$dir/verify")"
	! grep -q bulkhead "$dir/verify" || fail "$(cat "$dir/verify")"
}

case_the_shell_completes_verbs_and_files() {
	local complete
	mkdir "$dir/snapdir"
	# shellcheck disable=SC2016  # for the inner shell
	complete='. vmm/ctl/bulkheadctl.bash-completion
COMP_WORDS=(bulkheadctl "$@"); COMP_CWORD=$#; _bulkheadctl; printf "%s " "${COMPREPLY[@]}"'
	PATH=$build/bin:$PATH
	expect "verbs" "$(bash -c "$complete" - --json snap)" "snapshot snapshot-progress snapshot-cancel "
	expect "options" "$(bash -c "$complete" - --so)" "--socket "
	expect "directories" "$(bash -c "$complete" - -s x snapshot "$dir/snap")" "$dir/snapdir "
	expect "words" "$(bash -c "$complete" - restore y ond)" "ondemand "
}
