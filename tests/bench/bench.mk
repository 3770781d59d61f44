# SPDX-License-Identifier: Apache-2.0
# Benchmarks: $(BUILD)/tests/bench/NAME from tests/bench/NAME.c and what it shares with the others (bench_*.c); disk
# has its own rule in disk.mk. Run by tests/bench/run.
BENCH_NAMES  := start memory snapshot restore clones answers make_snapshot
BENCH_SHARED := $(call objects_of,$(wildcard tests/bench/bench_*.c))
BENCH_BIN    := $(BENCH_NAMES:%=$(BUILD)/tests/bench/%)

.PHONY: bench-programs
bench-programs: $(BENCH_BIN) $(BUILD)/tests/bench/floor $(BUILD)/tests/bench/disk

$(BENCH_BIN): $(BUILD)/tests/bench/%: $(OBJ)/tests/bench/%.o $(BENCH_SHARED) $(COMMON_LIBS)
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -pie $(filter %.o,$^) $(filter %/libcore.a,$^) $(COMMON_LIBS) -o $@ $(ALL_LDFLAGS) $(BENCH_LIBS_$*) -lprotobuf-c

# Take snapshots with the core's own objects, in their own process.
BENCH_CORE := snapshot make_snapshot
$(foreach name,$(BENCH_CORE),$(eval BENCH_LIBS_$(name) := $(LIBS_core) -lcmocka))
$(BENCH_CORE:%=$(BUILD)/tests/bench/%): $(call objects_of,$(wildcard tests/support/*.c tests/vmm/core/snapshot/vm_under_test*.c)) $(BUILD)/lib/libcore.a

$(BUILD)/tests/bench/answers: $(call objects_of,tests/vmm/gateway/raw_client.c)

# Static: no loader and no libraries are part of the floor.
$(BUILD)/tests/bench/floor: $(OBJ)/tests/bench/floor.o
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(STATIC) $^ -o $@ $(ALL_LDFLAGS)
