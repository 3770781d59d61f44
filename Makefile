# SPDX-License-Identifier: Apache-2.0
#
# Bulkhead's build. Sources are discovered by folder:
#   ipc/*.c                  -> libipc.a     (linked by everything, with the generated protobuf code)
#   devworkers/common/*.c    -> libworker.a  (linked by everything but bulkheadctl)
#   devworkers/NAME/*.c      -> bulkhead-NAME, a static PIE; all but main.c also as libNAME.a for tests
#   vmm/core/**/*.c          -> bulkhead;    all but main.c also as libcore.a for tests
#   vmm/{broker,gateway,pager,ctl}/*.c -> bulkhead-broker, -gateway, -pager, bulkheadctl; likewise
#   */policy*.seccomp        -> $(BUILD)/gen/<folder>/policy*.seccomp.h (by devworkers/common/policy/)
#   proto/*.proto            -> $(BUILD)/gen/proto/*.pb-c.[ch]
#   vmm/core/**/*.asl        -> $(BUILD)/gen/vmm/core/.../NAME.aml.h (by iasl)
#   tests/**/test_*.c        -> one cmocka program each, linked with the archive of the part it mirrors
#   tests/fuzz/fuzz_*.c      -> one libFuzzer program each (make fuzz)
# A folder's module.mk may add libraries: LIBS_<NAME> := -l…
# Variants: BUILD=dir, SANITIZE=address,undefined, CC=clang.

BUILD    ?= build
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
SANITIZE ?=
VERSION  := 0.1.0
PREFIX   ?= /usr/local

GEN      := $(BUILD)/gen
OBJ      := $(BUILD)/obj
BIN      := $(BUILD)/bin

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wimplicit-fallthrough
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE \
            -ftrivial-auto-var-init=zero -fno-strict-aliasing
ifeq ($(SANITIZE),)
HARDEN   += -D_FORTIFY_SOURCE=2
STATIC   := -static-pie
else
HARDEN   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -DBULKHEAD_SANITIZE=1
LDFLAGS  += -fsanitize=$(SANITIZE)
STATIC   := -pie
endif
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DBULKHEAD_VERSION='"$(VERSION)"' -I. -I$(GEN) $(WARNINGS) $(HARDEN) $(CFLAGS) -pthread
ALL_LDFLAGS := -Wl,-z,relro,-z,now,-z,noexecstack -pthread $(LDFLAGS)

# ---- what there is ---------------------------------------------------------------------------------
PROTOS      := $(wildcard proto/*.proto)
PROTO_H     := $(PROTOS:proto/%.proto=$(GEN)/proto/%.pb-c.h)
PROTO_C     := $(PROTO_H:.h=.c)
POLICIES    := $(wildcard devworkers/*/policy*.seccomp vmm/*/policy*.seccomp vmm/core/*/policy*.seccomp)
POLICY_H    := $(POLICIES:%=$(GEN)/%.h)
ASLS        := $(wildcard vmm/core/*/*.asl vmm/core/*/*/*.asl)
ASL_H       := $(ASLS:%.asl=$(GEN)/%.aml.h)
GENERATED_H := $(PROTO_H) $(POLICY_H) $(ASL_H)

WORKERS     := $(filter-out common,$(notdir $(patsubst %/main.c,%,$(wildcard devworkers/*/main.c))))
HELPERS     := $(filter-out core ctl,$(notdir $(patsubst %/main.c,%,$(wildcard vmm/*/main.c))))
PROGRAMS    := $(if $(wildcard vmm/core/main.c),$(BIN)/bulkhead) \
               $(WORKERS:%=$(BIN)/bulkhead-%) $(HELPERS:%=$(BIN)/bulkhead-%) \
               $(if $(wildcard vmm/ctl/main.c),$(BIN)/bulkheadctl)

sources_of   = $(filter-out %/main.c,$(wildcard $(1)/*.c))
CORE_SRC    := $(filter-out vmm/core/main.c,$(wildcard vmm/core/*.c vmm/core/*/*.c vmm/core/*/*/*.c))
objects_of   = $(patsubst %.c,$(OBJ)/%.o,$(1))

-include $(wildcard devworkers/*/module.mk vmm/*/module.mk)

.PHONY: all deps demo test test-unit test-native test-lab test-redteam test-asan fuzz bench lint format install clean
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
MAKEFLAGS += -j$(shell nproc)

all: ## builds every program into build/bin
	@$(MAKE) --no-print-directory programs

.PHONY: programs
programs: $(PROGRAMS)

# ---- generated code --------------------------------------------------------------------------------
$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(@D)
	@protoc-c --c_out=$(GEN) $<

POLICYC := $(BUILD)/host/policy-compiler
$(POLICYC): $(wildcard devworkers/common/policy/*.c)
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -I. $^ -o $@ -lseccomp

$(GEN)/%.seccomp.h: %.seccomp $(POLICYC)
	@mkdir -p $(@D)
	@$(POLICYC) $< $@

$(GEN)/%.aml.h: %.asl
	@mkdir -p $(@D)
	@iasl -p $(basename $(basename $@)) -tc $< >$(basename $@).log 2>&1 || { cat $(basename $@).log; exit 1; }
	@mv $(basename $(basename $@)).hex $@

# ---- objects ---------------------------------------------------------------------------------------
$(OBJ)/%.o: %.c Makefile | generated
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(CFLAGS_$(subst /,_,$(patsubst %/,%,$(dir $*)))) -MMD -MP -c $< -o $@

$(OBJ)/gen/%.o: $(GEN)/%.c | generated
	@mkdir -p $(@D)
	@$(CC) $(filter-out -Wshadow,$(ALL_CFLAGS)) -MMD -MP -c $< -o $@

.PHONY: generated
generated: $(GENERATED_H) $(PROTO_C)

define archive
$(BUILD)/lib/lib$(1).a: $(call objects_of,$(2)) $(3)
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef

AR := ar
$(eval $(call archive,proto,,$(PROTO_C:$(GEN)/%.c=$(OBJ)/gen/%.o)))
$(eval $(call archive,ipc,$(wildcard ipc/*.c)))
$(eval $(call archive,worker,$(wildcard devworkers/common/*.c)))
$(eval $(call archive,core,$(CORE_SRC)))
$(foreach w,$(WORKERS),$(eval $(call archive,$(w),$(call sources_of,devworkers/$(w)))))
$(foreach h,$(HELPERS) ctl,$(eval $(call archive,$(h),$(call sources_of,vmm/$(h)))))

COMMON_LIBS := $(BUILD)/lib/libworker.a $(BUILD)/lib/libipc.a $(BUILD)/lib/libproto.a
PROTOBUF_C  := $(if $(SANITIZE),-lprotobuf-c,-l:libprotobuf-c.a)

# ---- programs --------------------------------------------------------------------------------------
define static_program
$(BIN)/bulkhead-$(1): $(OBJ)/$(2)/main.o $(BUILD)/lib/lib$(1).a $(COMMON_LIBS)
	@mkdir -p $$(@D)
	@$(CC) $(ALL_CFLAGS) $(STATIC) $$^ -o $$@ $(ALL_LDFLAGS) $(LIBS_$(1)) $(PROTOBUF_C)
endef
$(foreach w,$(WORKERS),$(eval $(call static_program,$(w),devworkers/$(w))))
$(foreach h,$(HELPERS),$(eval $(call static_program,$(h),vmm/$(h))))

LIBS_core := -l:libuv_a.a -lprotobuf-c -ldl -lrt -l:libxxhash.a -l:libzstd.a
$(BIN)/bulkhead: $(OBJ)/vmm/core/main.o $(BUILD)/lib/libcore.a $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) $(LIBS_core)

LIBS_ctl ?= -ljansson
$(BIN)/bulkheadctl: $(OBJ)/vmm/ctl/main.o $(BUILD)/lib/libctl.a $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) $(LIBS_ctl) -lprotobuf-c

# ---- tests -----------------------------------------------------------------------------------------
# tests/devworkers/blk/test_x.c links libblk.a, tests/vmm/core/... libcore.a, tests/vmm/broker/... libbroker.a
UNIT_TESTS := $(wildcard tests/ipc/test_*.c tests/devworkers/*/test_*.c tests/vmm/*/test_*.c tests/vmm/*/*/test_*.c)
UNIT_BIN   := $(UNIT_TESTS:tests/%.c=$(BUILD)/tests/%)
TEST_HELPERS := $(filter-out $(UNIT_TESTS),$(wildcard tests/ipc/*.c tests/devworkers/common/*.c))
test_part  = $(word 3,$(subst /, ,$(1)))
test_lib   = $(if $(filter vmm,$(word 2,$(subst /, ,$(1)))),$(BUILD)/lib/lib$(call test_part,$(1)).a,$(if $(filter-out common,$(filter $(WORKERS),$(call test_part,$(1)))),$(BUILD)/lib/lib$(call test_part,$(1)).a))
define unit_test
$(1:tests/%.c=$(BUILD)/tests/%): $(OBJ)/$(1:.c=.o) $(call objects_of,$(sort $(TEST_HELPERS) $(filter-out $(UNIT_TESTS),$(wildcard $(dir $(1))*.c)))) $(call test_lib,$(1)) $(COMMON_LIBS)
	@mkdir -p $$(@D)
	@$(CC) $(ALL_CFLAGS) -pie $$^ -o $$@ $(ALL_LDFLAGS) -lcmocka $$(LIBS_$(call test_part,$(1))) -lprotobuf-c
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))

-include $(wildcard tests/*/*.mk)

test-unit: ## builds and runs the cmocka unit and worker tests
	@$(MAKE) --no-print-directory programs $(UNIT_BIN)
	@tests/run-unit $(BUILD) $(UNIT_BIN)

format: ## formats all C sources in place
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## removes everything that was built
	@rm -rf $(BUILD)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
