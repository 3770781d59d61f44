# SPDX-License-Identifier: Apache-2.0
# Answers against the schemas of the published API, by a validator of others.
# shellcheck shell=bash
# shellcheck disable=SC2154

# The published description is not ours to ship: it is used where it lies beside the tree, or where
# BULKHEAD_OPENAPI says.
openapi=${BULKHEAD_OPENAPI:-../shared/reference/cloud-hypervisor-openapi.yaml}

# The published description of the API is not part of this tree: a copy beside the checkout, or the one that
# BULKHEAD_OPENAPI names. Sets $openapi.
description() {
	openapi=${BULKHEAD_OPENAPI:-$(find .. -maxdepth 3 -name 'cloud-hypervisor-openapi.yaml' -print -quit 2>/dev/null)}
	[ -f "$openapi" ] || skip "no description of the API: set BULKHEAD_OPENAPI to cloud-hypervisor.yaml"
}

# The validator's modules, fetched once into the build folder.
validator() {
	[ -r "$openapi" ] || skip "no API description at $openapi (BULKHEAD_OPENAPI names another place)"
	command -v node >/dev/null && command -v npm >/dev/null || skip "no npm: answers are not validated"
	if [ ! -d "$build/npm/node_modules/ajv" ]; then
		mkdir -p "$build/npm" && cp tests/control/package.json "$build/npm/" &&
			(cd "$build/npm" && timeout 120 npm install --silent --no-audit --no-fund --ignore-scripts >npm.log 2>&1) ||
			skip "npm cannot fetch the validator"
	fi
}

# keep NAME SCHEMA: the last answer is to be validated.
keep() {
	cp "$dir/answer" "$dir/$1.json"
	echo "$2 $dir/$1.json" >>"$dir/list"
}

validate() {
	node tests/control/validate.mjs "$openapi" "$build/npm" <"$dir/list" >"$dir/verdict" 2>&1 ||
		fail "$(grep -v '^ok' "$dir/verdict")"
	grep -q '^ok' "$dir/verdict" || fail "nothing was validated"
}

case_answers_fit_the_published_schemas() {
	description
	validator
	booted
	expect ping "$(api GET vmm.ping)" 200 && keep ping VmmPingResponse
	expect info "$(api GET vm.info)" 200 && keep running VmInfo
	expect counters "$(api GET vm.counters)" 200 && keep counters VmCounters
	ctl pause && expect info "$(api GET vm.info)" 200 && keep paused VmInfo
	ctl shutdown && expect info "$(api GET vm.info)" 200 && keep shutdown VmInfo
	expect pause "$(api PUT vm.pause)" 405 && keep state ERRORS
	ctl delete && expect info "$(api GET vm.info)" 404 && keep none ERRORS
	expect create "$(api PUT vm.create '{"payload":{"kernel":"/k"},"x":1,"net":[1]}')" 400 && keep invalid ERRORS
	expect fly "$(api PUT vm.fly)" 404 && keep path ERRORS
	expect add-net "$(api PUT vm.add-net '{}')" 501 && keep later ERRORS
	expect create "$(api PUT vm.create "$(config '"console":{"mode":"Pty"}' '"rng":{"src":"/dev/urandom"}')")" 204
	expect info "$(api GET vm.info)" 200 && keep created VmInfo
	validate
}

case_the_validator_finds_what_does_not_fit() {
	description
	validator
	echo '{"config":{"payload":{}},"state":"Flying"}' >"$dir/answer" && keep wrong VmInfo
	! node tests/control/validate.mjs "$openapi" "$build/npm" <"$dir/list" >"$dir/verdict" || fail "it fits"
	grep -q '^not ok VmInfo' "$dir/verdict" || fail "$(cat "$dir/verdict")"
}

case_the_answer_of_info_is_a_configuration_that_can_be_created_again() {
	validator
	created
	expect info "$(api GET vm.info)" 200
	node -e 'console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0)).config))' <"$dir/answer" >"$dir/echo"
	expect delete "$(api PUT vm.delete)" 204
	expect create "$(api PUT vm.create "$(cat "$dir/echo")")$(answer)" 204
}
