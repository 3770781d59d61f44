# SPDX-License-Identifier: Apache-2.0
#
# `make lint`. clang-tidy is slow: a file is looked at again only when it, a header it includes, or the rules changed.

LINT_C := $(wildcard ipc/*.c devworkers/*/*.c devworkers/*/*/*.c vmm/*/*.c vmm/*/*/*.c vmm/*/*/*/*.c) \
	$(wildcard tests/*/*.c tests/*/*/*.c tests/*/*/*/*.c)
LINT_H := $(wildcard ipc/*.h devworkers/*/*.h devworkers/*/*/*.h vmm/*/*.h vmm/*/*/*.h vmm/*/*/*/*.h) \
	$(wildcard tests/*/*.h tests/*/*/*.h tests/*/*/*/*.h)
LINT_GUEST := $(filter tests/guests/% tests/lab/%,$(LINT_C))
LINT_HOST  := $(filter-out $(LINT_GUEST),$(LINT_C))
TIDY_FLAGS  = $(filter-out -Werror,$(filter-out -fcf-protection=full -ftrivial-auto-var-init=zero -enable-trivial%,$(ALL_CFLAGS)))

# The hostile worker is compiled once for each policy (tests/redteam/redteam.mk); one of them is looked at here.
CFLAGS_tests_redteam := -DPOLICY_HEADER='"devworkers/rng/policy.seccomp.h"' -DPOLICY=rng_policy

# The object's own rule knows which headers the file includes.
$(BUILD)/lint/%.tidy: %.c .clang-tidy tests/.clang-tidy $(OBJ)/%.o
	mkdir -p $(@D)
	clang-tidy --quiet $< -- $(TIDY_FLAGS) $(CFLAGS_$(subst /,_,$(patsubst %/,%,$(dir $*)))) >$@.log 2>&1 || \
		{ grep -v 'warnings generated\|^Suppressed\|^Use -header-filter\|warnings treated as errors' $@.log; exit 1; }
	touch $@

$(BUILD)/lint/tests/guests/%.tidy: tests/guests/%.c .clang-tidy tests/.clang-tidy $(GUEST_OUT)/obj/%.c.o
	mkdir -p $(@D)
	clang-tidy --quiet $< -- $(filter-out -Werror -MMD -MP,$(GUEST_CFLAGS)) >$@.log 2>&1 || \
		{ grep -v 'warnings generated\|^Suppressed\|^Use -header-filter\|warnings treated as errors' $@.log; exit 1; }
	touch $@

.PHONY: lint-format lint-tidy lint-cppcheck lint-rules lint-scripts
lint-format:
	clang-format --dry-run -Werror $(LINT_C) $(LINT_H)

lint-tidy: $(LINT_HOST:%.c=$(BUILD)/lint/%.tidy) $(patsubst %.c,$(BUILD)/lint/%.tidy,$(filter tests/guests/%,$(LINT_GUEST)))

lint-cppcheck: generated
	mkdir -p $(BUILD)/lint/cppcheck
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j 2 --enable=warning,performance,portability \
		--suppressions-list=tests/lint/cppcheck.suppressions --cppcheck-build-dir=$(BUILD)/lint/cppcheck \
		-D__x86_64__ -D_GNU_SOURCE -DBULKHEAD_VERSION='""' -DPROTOBUF_C_VERSION_NUMBER=1004001 \
		-DPROTOBUF_C_MIN_COMPILER_VERSION=1000000 -DPROTOBUF_C__BEGIN_DECLS= -DPROTOBUF_C__END_DECLS= -I. -I$(GEN) \
		$(LINT_HOST)

lint-rules:
	tests/lint/rules $(LINT_C) $(LINT_H)

lint-scripts:
	tests/lint/scripts

LINT_STEPS := format rules scripts cppcheck tidy

lint: ## checks format, clang-tidy, cppcheck, include rules, file sizes and scripts; every finding is an error
	$(DESCRIBE)
	+status=0; for step in $(LINT_STEPS); do \
		if $(SUBMAKE) -k lint-$$step; then echo "lint: $$step ok"; else echo "lint: $$step FAILED"; status=1; fi; \
	done; exit $$status
