# SPDX-License-Identifier: Apache-2.0
# bulkhead-echo: the test device of tests/devworkers/echo/, a worker like any other but never installed.
ECHO := $(BIN)/bulkhead-echo

$(OBJ)/tests/devworkers/echo/main.o: $(GEN)/tests/devworkers/echo/policy.seccomp.h

$(ECHO): $(OBJ)/tests/devworkers/echo/main.o $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(STATIC) $^ -o $@ $(ALL_LDFLAGS) $(PROTOBUF_C)

$(filter $(BUILD)/tests/devworkers/common/test_worker%,$(UNIT_BIN)): | $(ECHO)
