# SPDX-License-Identifier: Apache-2.0
#
# Tests. tests/**/test_*.c are one cmocka program each, linked with the other C files of their folder and with the
# archive of the part they mirror: tests/devworkers/blk/ links libblk.a, tests/vmm/core/pci/ libcore.a, and so on.
# Further parts: tests/guests/guests.mk, tests/fuzz/fuzz.mk, tests/lint/lint.mk, tests/devworkers/echo.mk.

UNIT_TESTS := $(wildcard tests/ipc/test_*.c tests/devworkers/*/test_*.c tests/vmm/*/test_*.c tests/vmm/*/*/test_*.c)
UNIT_BIN   := $(UNIT_TESTS:tests/%.c=$(BUILD)/tests/%)
TEST_HELPERS := $(filter-out $(UNIT_TESTS),$(wildcard tests/support/*.c tests/ipc/*.c tests/devworkers/common/*.c))
test_part  = $(word 3,$(subst /, ,$(1)))
test_lib   = $(if $(filter vmm,$(word 2,$(subst /, ,$(1)))),$(BUILD)/lib/lib$(call test_part,$(1)).a,$(if $(filter-out common,$(filter $(WORKERS),$(call test_part,$(1)))),$(BUILD)/lib/lib$(call test_part,$(1)).a))
test_helpers = $(call objects_of,$(sort $(TEST_HELPERS) $(filter-out $(UNIT_TESTS),$(wildcard $(dir $(1))*.c))))
define unit_test
$(1:tests/%.c=$(BUILD)/tests/%): $(OBJ)/$(1:.c=.o) $(call test_helpers,$(1)) $(call test_lib,$(1)) $(COMMON_LIBS)
	mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -pie $$^ -o $$@ $(ALL_LDFLAGS) -lcmocka $$(LIBS_$(call test_part,$(1))) -lprotobuf-c
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))

-include $(wildcard tests/*/*.mk)

.PHONY: unit-tests test-docs test-fuzz
unit-tests: programs guests $(POLICYC) $(UNIT_BIN)

# The suites of `make test`, in this order; each is a target test-NAME whose output ends with
# "N passed, N failed" (", N skipped" may follow).
SUITES := unit docs native control redteam fuzz lab

test: ## runs every test suite, one line each, and ends with the sum
	$(DESCRIBE)
	tests/deps $(PACKAGES)
	+MAKE='$(MAKE) --no-print-directory' tests/run-suites $(BUILD) $(SUITES)

test-unit: ## builds and runs the cmocka tests: modules alone, and workers in their real sandboxes
	$(DESCRIBE)
	+$(SUBMAKE) unit-tests
	tests/run-unit $(BUILD) $(UNIT_BIN)

test-docs: ## checks that the manual and the programs' --help agree
	$(DESCRIBE)
	+$(SUBMAKE) programs
	tests/docs/check-man $(BUILD)

test-native: ## boots the bare-metal test guests on this host's KVM
	$(DESCRIBE)
	+$(SUBMAKE) programs guests native-helpers
	tests/native/run $(BUILD)

test-redteam: ## runs hostile workers and guests against the sandbox and prints what became of each attempt
	$(DESCRIBE)
	+$(SUBMAKE) programs guests redteam-programs
	MAKEFLAGS= tests/redteam/run $(BUILD)

# An emulated machine's own kernel can crash through no fault of what runs in it (status 125): said aloud, and tried
# once more. The first transcript stays. A test that fails, or a deadline that passes, is never tried again.
# With one processor: QEMU's emulation of nested guests now and then ends a guest, or the machine, when processors of
# its own run at the same time.
LAB_SUITE = tests/lab/run --name $(1) --cpus 1 --guest stable,backports --payload $(BIN) --deadline 1500 -- /lab/suite
LAB_AGAIN = echo "again: the lab's first-level machine crashed, its transcript is kept; the suite starts over, once"

test-lab: ## boots Debian's unmodified kernel on Bulkhead in a nested lab, in many variants
	$(DESCRIBE)
	+$(SUBMAKE) programs
	$(call LAB_SUITE,suite) || { [ $$? -eq 125 ] && $(LAB_AGAIN) && $(call LAB_SUITE,suite-again); }

test-fuzz: ## runs every fuzzer for a few seconds
	$(DESCRIBE)
	+$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=5

test-asan: ## runs the cmocka tests with address and undefined-behaviour sanitizers
	$(DESCRIBE)
	+BULKHEAD_TEST_SECONDS=300 $(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined test-unit

bench: ## measures against the floor and against QEMU: a table, and build/bench.json
	$(DESCRIBE)
	+$(SUBMAKE) programs guests bench-programs
	tests/bench/run $(BUILD)
