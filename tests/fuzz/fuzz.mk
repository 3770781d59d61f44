# SPDX-License-Identifier: Apache-2.0
#
# tests/fuzz/fuzz_*.c are one libFuzzer program each, built by clang in a build folder of its own, where every
# archive is instrumented too. What a program is linked with follows from what it includes:
#   "devworkers/blk/…", "vmm/core/…"   libblk.a, libcore.a
#   "tests/FOLDER/…"                   the C files of that folder that are not tests, before the archives
# `make fuzz FUZZ_SECONDS=20 [FUZZ=fuzz_pci]`; inputs that were found interesting stay in $(BUILD)/fuzz/corpus.

FUZZ_SECONDS ?= 20
FUZZ_SANITIZE := address,undefined
FUZZ ?= $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz_parts   = $(filter $(WORKERS) $(HELPERS) core ctl,$(sort $(shell sed -nE 's,^.include "(devworkers|vmm)/([a-z0-9]+)/.*,\2,p' $(1))))
fuzz_folders = $(sort $(shell sed -nE 's,^.include "(tests/[a-z0-9_/]+)/[a-z0-9_]+\.h".*,\1,p' $(1)))
fuzz_helpers = $(call objects_of,$(filter-out $(UNIT_TESTS),$(foreach folder,$(call fuzz_folders,$(1)),$(wildcard $(folder)/*.c))))
define fuzz_program
$(BIN)/$(1): $(OBJ)/tests/fuzz/$(1).o $(call fuzz_helpers,tests/fuzz/$(1).c) \
		$(patsubst %,$(BUILD)/lib/lib%.a,$(call fuzz_parts,tests/fuzz/$(1).c)) $(COMMON_LIBS)
	mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) -pie $$^ -o $$@ $(ALL_LDFLAGS) -fsanitize=fuzzer \
		$(foreach part,$(call fuzz_parts,tests/fuzz/$(1).c),$(LIBS_$(part))) -lprotobuf-c -lcmocka
endef
ifneq ($(findstring fuzzer-no-link,$(SANITIZE)),)
$(foreach f,$(FUZZ),$(eval $(call fuzz_program,$(f))))
endif

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ:%=$(BIN)/%)

fuzz: ## runs every fuzzer for FUZZ_SECONDS, 20 if not given
	$(DESCRIBE)
	+$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,$(FUZZ_SANITIZE) fuzz-programs
	tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ)
