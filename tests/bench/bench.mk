# SPDX-License-Identifier: Apache-2.0
# Benchmarks: $(BUILD)/tests/bench/NAME from tests/bench/NAME.c and what it shares with the others (bench_*.c); disk
# has its own rule in disk.mk. Run by tests/bench/run.
BENCH_NAMES  := start memory
BENCH_SHARED := $(call objects_of,$(wildcard tests/bench/bench_*.c))
BENCH_BIN    := $(BENCH_NAMES:%=$(BUILD)/tests/bench/%)

.PHONY: bench-programs
bench-programs: $(BENCH_BIN) $(BUILD)/tests/bench/floor $(BUILD)/tests/bench/disk

$(BENCH_BIN): $(BUILD)/tests/bench/%: $(OBJ)/tests/bench/%.o $(BENCH_SHARED) $(COMMON_LIBS)
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -pie $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -o $@ $(ALL_LDFLAGS) $(BENCH_LIBS_$*) -lprotobuf-c

# Takes snapshots with the core's own objects, in its own process.
BENCH_LIBS_snapshot := $(LIBS_core) -lcmocka
$(BUILD)/tests/bench/snapshot: $(OBJ)/tests/vmm/core/snapshot/vm_under_test.o $(BUILD)/lib/libcore.a

# Static: no loader and no libraries are part of the floor.
$(BUILD)/tests/bench/floor: $(OBJ)/tests/bench/floor.o
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(STATIC) $^ -o $@ $(ALL_LDFLAGS)
