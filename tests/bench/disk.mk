# SPDX-License-Identifier: Apache-2.0
# $(BUILD)/tests/bench/disk: bulkhead-blk against qemu-storage-daemon (tests/bench/disk.c)
$(BUILD)/tests/bench/disk: $(call objects_of,$(wildcard tests/bench/disk*.c) $(TEST_HELPERS)) $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) -lcmocka -lprotobuf-c
