# SPDX-License-Identifier: Apache-2.0
# llhttp is compiled by vmm/gateway/module.mk.
CFLAGS_vmm_ctl := -isystem /usr/share/include/llhttp
CFLAGS_tests_vmm_ctl := $(CFLAGS_vmm_ctl)
LIBS_ctl := -l:libjansson.a

$(BUILD)/lib/libctl.a: $(OBJ)/llhttp/api.o $(OBJ)/llhttp/http.o $(OBJ)/llhttp/llhttp.o

# What `make install` installs beside programs and documents.
SHARE_CTL = $(DESTDIR)$(PREFIX)/share
LIB_CTL   = $(DESTDIR)$(PREFIX)/lib

.PHONY: install-control
install: install-control
install-control:
	install -d $(SHARE_CTL)/bash-completion/completions $(LIB_CTL)/systemd/system $(LIB_CTL)/sysusers.d $(LIB_CTL)/tmpfiles.d
	install -m 644 vmm/ctl/bulkheadctl.bash-completion $(SHARE_CTL)/bash-completion/completions/bulkheadctl
	sed 's,@PREFIX@,$(PREFIX),' vmm/ctl/systemd/bulkhead@.service.in >$(LIB_CTL)/systemd/system/bulkhead@.service
	install -m 644 vmm/ctl/systemd/bulkhead.sysusers $(LIB_CTL)/sysusers.d/bulkhead.conf
	install -m 644 vmm/ctl/systemd/bulkhead.tmpfiles $(LIB_CTL)/tmpfiles.d/bulkhead.conf
