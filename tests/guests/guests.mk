# SPDX-License-Identifier: Apache-2.0
# Bare-metal test guests: one PVH ELF image for every folder of tests/guests that has a main.c or
# main.S, linked with the common library in lib/. Included by the top Makefile, which sets BUILD.
#   make guests                    all images, under $(BUILD)/guests/NAME.elf
#   make $(BUILD)/guests/smoke.elf one of them
# The guests are built with gcc whatever the host programs are built with: the code must stay
# within what KVM's instruction emulator knows, and that was tried with this compiler.

GUEST_CC ?= gcc
GUEST_LD ?= ld
GUEST_DIR := tests/guests
GUEST_OUT := $(BUILD)/guests

GUEST_CFLAGS := -std=gnu11 -O2 -g0 -ffreestanding -fno-builtin -mgeneral-regs-only -mno-red-zone \
	-fno-stack-protector -fcf-protection=none -fno-pic -no-pie -mcmodel=small -march=x86-64 \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -ffunction-sections -fdata-sections \
	-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wno-address-of-packed-member -I$(GUEST_DIR)/lib -MMD -MP
GUEST_LDFLAGS := -m elf_x86_64 -static -nostdlib --gc-sections --build-id=none --no-warn-rwx-segments \
	-z noexecstack -z max-page-size=4096 -T $(GUEST_DIR)/lib/guest.ld

GUEST_NAMES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard $(GUEST_DIR)/*/main.[cS])))))
GUEST_IMAGES := $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf)
guest_objects = $(patsubst $(GUEST_DIR)/%,$(GUEST_OUT)/obj/%.o,$(wildcard $(GUEST_DIR)/$(1)/*.[cS]))
GUEST_LIB_OBJECTS := $(call guest_objects,lib)

.PHONY: guests
guests: $(GUEST_IMAGES)

$(GUEST_OUT)/obj/%.c.o: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/obj/%.S.o: $(GUEST_DIR)/%.S
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

# The start-up benchmark's guest has its own entry and must do nothing else.
GUEST_STANDALONE := first

define guest_image_rule
$(GUEST_OUT)/$(1).elf: $(call guest_objects,$(1)) \
		$(if $(filter $(1),$(GUEST_STANDALONE)),,$(GUEST_LIB_OBJECTS)) $(GUEST_DIR)/lib/guest.ld
	$$(GUEST_LD) $$(GUEST_LDFLAGS) -o $$@ $$(filter %.o,$$^)
endef
$(foreach name,$(GUEST_NAMES),$(eval $(call guest_image_rule,$(name))))

-include $(wildcard $(GUEST_OUT)/obj/*/*.d)
