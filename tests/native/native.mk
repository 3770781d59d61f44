# SPDX-License-Identifier: Apache-2.0
# Programs of tests/native. Included by the top Makefile. `make native-helpers`, then tests/native/run BUILD
NATIVE := $(BUILD)/tests/native

.PHONY: native-helpers
native-helpers: $(NATIVE)/helper

$(NATIVE)/helper: $(call objects_of,$(wildcard tests/native/helper*.c))
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) -ljansson
