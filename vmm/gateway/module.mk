# SPDX-License-Identifier: Apache-2.0
# llhttp comes as C sources (package node-llhttp); they are compiled where they are, in their strict mode.
.DEFAULT_GOAL := all

LLHTTP_OBJ := $(OBJ)/llhttp/api.o $(OBJ)/llhttp/http.o $(OBJ)/llhttp/llhttp.o
LLHTTP_INCLUDE := -isystem /usr/share/include/llhttp

$(OBJ)/llhttp/%.o: /usr/share/llhttp/%.c vmm/gateway/module.mk
	mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -DLLHTTP_STRICT_MODE=1 $(LLHTTP_INCLUDE) $(HARDEN) $(CFLAGS) -w -c $< -o $@

# The gateway must come to the same names of files as the core: it shares that part of it.
$(BUILD)/lib/libgateway.a: $(LLHTTP_OBJ) \
	$(patsubst %,$(OBJ)/vmm/core/config/%.o,resources vm_config option_string)

CFLAGS_vmm_gateway := $(LLHTTP_INCLUDE)
CFLAGS_tests_vmm_gateway := $(LLHTTP_INCLUDE)
CFLAGS_tests_fuzz += $(LLHTTP_INCLUDE)
LIBS_gateway := -l:libjansson.a
