# SPDX-License-Identifier: Apache-2.0
# The red team: a hostile worker for every device policy, linked like the real one and named like it, and
# the driver. Included by the top Makefile.  make redteam-programs, then tests/redteam/run BUILD
REDTEAM       := $(BUILD)/redteam
REDTEAM_KINDS := blk rng console
REDTEAM_OBJ   := $(OBJ)/tests/redteam
ATTEMPTS_OBJ  := $(call objects_of,$(wildcard tests/redteam/attempts*.c))

.PHONY: redteam-programs
redteam-programs: $(REDTEAM)/redteam $(foreach k,$(REDTEAM_KINDS),$(REDTEAM)/$(k)/bulkhead-$(k)) \
		$(REDTEAM)/live/bulkhead-rng $(GUEST_OUT)/snapshot.elf programs

$(REDTEAM_OBJ)/hostile-%.o: tests/redteam/hostile.c Makefile | generated
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -DPOLICY_HEADER='"devworkers/$*/policy.seccomp.h"' -DPOLICY=$*_policy -MMD -MP -c $< -o $@

define hostile_worker
$(REDTEAM)/$(1)/bulkhead-$(1): $(REDTEAM_OBJ)/hostile-$(1).o $(REDTEAM_OBJ)/hostile_ring_$(if $(filter blk,$(1)),blk,none).o $(ATTEMPTS_OBJ) $(BUILD)/lib/lib$(1).a $(COMMON_LIBS)
	@mkdir -p $$(@D)
	@$(CC) $(ALL_CFLAGS) $(STATIC) $$^ -o $$@ $(ALL_LDFLAGS) $$(LIBS_$(1)) $(PROTOBUF_C)
endef
$(foreach k,$(REDTEAM_KINDS),$(eval $(call hostile_worker,$(k))))

$(REDTEAM)/live/bulkhead-rng: $(REDTEAM_OBJ)/hostile_live.o $(REDTEAM_OBJ)/hostile_ring_none.o $(ATTEMPTS_OBJ) $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(STATIC) $^ -o $@ $(ALL_LDFLAGS) $(PROTOBUF_C)

$(REDTEAM)/redteam: $(REDTEAM_OBJ)/redteam.o $(REDTEAM_OBJ)/driver_session.o $(REDTEAM_OBJ)/driver_attempt.o \
		$(REDTEAM_OBJ)/verdict.o $(REDTEAM_OBJ)/hostile_ring_none.o $(ATTEMPTS_OBJ) \
		$(BUILD)/lib/libcore.a $(COMMON_LIBS)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -pie $^ -o $@ $(ALL_LDFLAGS) $(LIBS_core) -lprotobuf-c
