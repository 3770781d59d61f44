# SPDX-License-Identifier: Apache-2.0
#
# The control sockets from end to end: real programs, real clients, bare-metal guests.

# bulkheadctl's tests talk to the gateway, and to a model of the core behind it, which comes after the archives here.
CTL_TEST := $(BUILD)/tests/vmm/ctl/test_ctl
$(CTL_TEST): $(call objects_of,tests/vmm/gateway/fake_core.c tests/vmm/gateway/fake_model.c) | $(BIN)/bulkhead-gateway $(BIN)/bulkheadctl
$(CTL_TEST): private LIBS_ctl += $(COMMON_LIBS)

.PHONY: test-control
test-control: ## drives machines over their control sockets, with curl, socat, bulkheadctl and raw clients
	$(DESCRIBE)
	+$(SUBMAKE) programs guests
	tests/control/run $(BUILD)
