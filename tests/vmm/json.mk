# SPDX-License-Identifier: Apache-2.0
# The core prints JSON by hand; its tests read that back with a library.
$(BUILD)/tests/vmm/core/host/test_host_report: LIBS_core += -ljansson
