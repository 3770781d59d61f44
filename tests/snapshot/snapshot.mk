# SPDX-License-Identifier: Apache-2.0
# bulkhead-stubborn: a worker that gets in a snapshot's way when told to; stands in for a device's own in the tests of
# vmm/core/snapshot and is never installed.
STUBBORN := $(BIN)/bulkhead-stubborn

$(OBJ)/tests/snapshot/stubborn/main.o: $(GEN)/tests/snapshot/stubborn/policy.seccomp.h

$(STUBBORN): $(OBJ)/tests/snapshot/stubborn/main.o $(COMMON_LIBS)
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(STATIC) $^ -o $@ $(ALL_LDFLAGS) $(PROTOBUF_C)

$(filter $(BUILD)/tests/vmm/core/snapshot/test_snapshot_refusals%,$(UNIT_BIN)): | $(STUBBORN)

# inspect prints JSON by hand; its test reads that back with a library.
$(BUILD)/tests/vmm/core/snapshot/test_inspect: LIBS_core += -ljansson
