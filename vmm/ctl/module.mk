# SPDX-License-Identifier: Apache-2.0
# llhttp is compiled by vmm/gateway/module.mk.
CFLAGS_vmm_ctl := -isystem /usr/share/include/llhttp
LIBS_ctl := -l:libjansson.a

$(BUILD)/lib/libctl.a: $(OBJ)/llhttp/api.o $(OBJ)/llhttp/http.o $(OBJ)/llhttp/llhttp.o
