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
# A folder's module.mk may add libraries (LIBS_<NAME> := -l…) and flags (CFLAGS_<folder_with_underscores>).
# Tests, fuzzers and lint are in tests/tests.mk and the tests/*/*.mk it includes.
# Variants: BUILD=dir, SANITIZE=address,undefined, CC=clang, V=1 (show commands). `make help` lists targets.

BUILD    ?= build
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
SANITIZE ?=
VERSION  := 0.1.0
PREFIX   ?= /usr/local
V        ?=

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
# clang 14 wants a word for what gcc takes silently: zeroed locals, and a fixed header before the kernel's flexible arrays.
ifneq ($(findstring clang,$(CC)),)
HARDEN   += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
WARNINGS += -Wno-gnu-variable-sized-type-not-at-end
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
COMMANDS    := $(if $(wildcard vmm/core/main.c),bulkhead) $(if $(wildcard vmm/ctl/main.c),bulkheadctl)
PROGRAMS    := $(COMMANDS:%=$(BIN)/%) $(WORKERS:%=$(BIN)/bulkhead-%) $(HELPERS:%=$(BIN)/bulkhead-%)

sources_of   = $(filter-out %/main.c,$(wildcard $(1)/*.c))
CORE_SRC    := $(filter-out vmm/core/main.c,$(wildcard vmm/core/*.c vmm/core/*/*.c vmm/core/*/*/*.c))
objects_of   = $(patsubst %.c,$(OBJ)/%.o,$(1))
MODULES     := $(wildcard devworkers/*/module.mk vmm/*/module.mk)
-include $(MODULES)

# ---- how this make is run --------------------------------------------------------------------------
.DEFAULT_GOAL := all
.PHONY: all help deps demo test test-unit test-native test-lab test-redteam test-asan fuzz bench lint format install clean
.PHONY: FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
ifeq ($(V),)
.SILENT:
endif

# Targets for people start a second make for the real work: with as many jobs as there are processors, unless the
# person said how many. What they do is printed from the text behind their ##.
JOBS      = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE   = $(MAKE) --no-print-directory $(JOBS)
MAKEFILES_READ := Makefile tests/tests.mk $(wildcard tests/*/*.mk)
DESCRIBE  = sed -n 's/^$@:[^\#]*\#\# */$@: /p' $(MAKEFILES_READ)

# Write the text in $(1) into $@, but only if that changes it: what depends on it is then as old as the text.
define if_changed
mkdir -p $(@D)
printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@
endef

all: ## builds every program (into build/bin)
	$(DESCRIBE)
	+$(SUBMAKE) programs

help: ## lists the targets
	sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILES_READ) | expand -t 16

.PHONY: programs
programs: $(PROGRAMS)

# ---- generated code --------------------------------------------------------------------------------
$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h: proto/%.proto
	mkdir -p $(@D)
	protoc-c --c_out=$(GEN) $<

POLICYC := $(BUILD)/host/policy-compiler
POLICY_SRC := $(wildcard devworkers/common/policy/*.c)
$(POLICYC): $(POLICY_SRC) $(wildcard devworkers/common/policy/*.h ipc/*.h)
	mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -I. $(POLICY_SRC) -o $@ -lseccomp

# The compiler takes in devworkers/common/*.seccomp for `include NAME`, and sanitizer.seccomp in sanitizer builds.
$(GEN)/%.seccomp.h: %.seccomp $(POLICYC) $(wildcard devworkers/common/*.seccomp)
	mkdir -p $(@D)
	$(POLICYC) $< $@

$(GEN)/%.aml.h: %.asl
	mkdir -p $(@D)
	iasl -p $(basename $(basename $@)) -tc $< >$(basename $@).log 2>&1 || { cat $(basename $@).log; exit 1; }
	mv $(basename $(basename $@)).hex $@

.PHONY: generated
generated: $(GENERATED_H) $(PROTO_C)

# ---- objects and archives --------------------------------------------------------------------------
# Generated headers must be there before anything is compiled; which of them an object uses is in its .d file.
$(BUILD)/flags: FORCE
	$(call if_changed,$(CC) $(ALL_CFLAGS))

$(OBJ)/%.o: %.c $(BUILD)/flags $(MODULES) | generated
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(CFLAGS_$(subst /,_,$(patsubst %/,%,$(dir $*)))) -MMD -MP -c $< -o $@

$(OBJ)/gen/%.o: $(GEN)/%.c $(BUILD)/flags | generated
	mkdir -p $(@D)
	$(CC) $(filter-out -Wshadow,$(ALL_CFLAGS)) -MMD -MP -c $< -o $@

# The list makes an archive lose the object of a source that is gone.
define archive
$(BUILD)/lib/lib$(1).list: FORCE
	$$(call if_changed,$(2))
$(BUILD)/lib/lib$(1).a: $(2) $(BUILD)/lib/lib$(1).list
	rm -f $$@
	ar rcs $$@ $$(filter %.o,$$^)
endef
$(eval $(call archive,proto,$(PROTO_C:$(GEN)/%.c=$(OBJ)/gen/%.o)))
$(eval $(call archive,ipc,$(call objects_of,$(wildcard ipc/*.c))))
$(eval $(call archive,worker,$(call objects_of,$(wildcard devworkers/common/*.c))))
$(eval $(call archive,core,$(call objects_of,$(CORE_SRC))))
$(foreach w,$(WORKERS),$(eval $(call archive,$(w),$(call objects_of,$(call sources_of,devworkers/$(w))))))
$(foreach h,$(HELPERS) ctl,$(eval $(call archive,$(h),$(call objects_of,$(call sources_of,vmm/$(h))))))

COMMON_LIBS := $(BUILD)/lib/libworker.a $(BUILD)/lib/libipc.a $(BUILD)/lib/libproto.a
PROTOBUF_C  := $(if $(SANITIZE),-lprotobuf-c,-l:libprotobuf-c.a)

# ---- programs --------------------------------------------------------------------------------------
define static_program
$(BIN)/bulkhead-$(1): $(OBJ)/$(2)/main.o $(BUILD)/lib/lib$(1).a $(COMMON_LIBS)
	mkdir -p $$(@D)
	$(CC) $(ALL_CFLAGS) $(STATIC) $$^ -o $$@ $(ALL_LDFLAGS) $(LIBS_$(1)) $(PROTOBUF_C)
endef
$(foreach w,$(WORKERS),$(eval $(call static_program,$(w),devworkers/$(w))))
$(foreach h,$(HELPERS),$(eval $(call static_program,$(h),vmm/$(h))))

LIBS_core := -l:libuv_a.a -lprotobuf-c -ldl -lrt -l:libxxhash.a -l:libzstd.a
$(BIN)/bulkhead: $(OBJ)/vmm/core/main.o $(BUILD)/lib/libcore.a $(COMMON_LIBS)
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) $(LIBS_core)

LIBS_ctl ?= -ljansson
$(BIN)/bulkheadctl: $(OBJ)/vmm/ctl/main.o $(BUILD)/lib/libctl.a $(COMMON_LIBS)
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) $(LIBS_ctl) -lprotobuf-c

include tests/tests.mk

# ---- the machine we build on -----------------------------------------------------------------------
PACKAGES_BUILD := gcc binutils pkg-config libc6-dev libuv1-dev protobuf-compiler protobuf-c-compiler libprotobuf-c-dev \
	libseccomp-dev liburing-dev libxxhash-dev libzstd-dev libjansson-dev node-llhttp acpica-tools
PACKAGES_TEST := libcmocka-dev clang clang-format clang-tidy libclang-rt-14-dev cppcheck shellcheck man-db git curl socat
PACKAGES_LAB := qemu-system-x86 qemu-system-common busybox-static cpio e2fsprogs kmod lz4 zstd xz-utils ca-certificates
PACKAGES := $(PACKAGES_BUILD) $(PACKAGES_TEST) $(PACKAGES_LAB)

deps: ## installs the Debian packages that are missing, and nothing else
	$(DESCRIBE)
	tests/deps $(PACKAGES)

demo: ## boots Debian's kernel from a sandboxed disk and shows the processes of the VM
	$(DESCRIBE)
	tests/deps $(PACKAGES)
	+$(SUBMAKE) programs
	tests/run-demo $(BUILD)

install: ## installs programs, manual and documents below PREFIX (/usr/local), staged in DESTDIR
	$(DESCRIBE)
	+$(SUBMAKE) programs
	install -d $(DESTDIR)$(PREFIX)/lib/bulkhead $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/doc/bulkhead
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/lib/bulkhead
	# The core finds its broker, and that the workers, beside the real file: links may be anywhere.
	for command in $(COMMANDS); do ln -sf ../lib/bulkhead/$$command $(DESTDIR)$(PREFIX)/bin/$$command; done
	install -m 644 $(wildcard docs/man/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(wildcard docs/man/*.8) $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/bulkhead
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in $(patsubst vmm/ctl/systemd/%.in,%,$(wildcard vmm/ctl/systemd/*.in)); do \
		sed 's,@PREFIX@,$(PREFIX),g' vmm/ctl/systemd/$$unit.in >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -D -m 644 vmm/ctl/bulkheadctl.bash-completion $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bulkheadctl
	cp --parents docs/*.md docs/devices/*.md $(DESTDIR)$(PREFIX)/share/doc/bulkhead

format: ## formats all C sources in place
	$(DESCRIBE)
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## removes everything that was built
	$(DESCRIBE)
	rm -rf $(BUILD)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
