# SPDX-License-Identifier: Apache-2.0
# Whole VMs for the tests of vmm/core/control, made by what the tests of snapshots made for theirs.
$(BUILD)/tests/vmm/core/control/test_vm_states: $(call objects_of,$(wildcard tests/vmm/core/snapshot/vm_under_test*.c))
$(BUILD)/tests/vmm/core/control/test_vm_states: LIBS_core := $(BUILD)/lib/libcore.a $(COMMON_LIBS) $(LIBS_core)
