/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of vm.create. What is taken is completed as the core does it, echoed as vm.info does it,
 * and reads the same again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/config/vm_config.h"
#include "vmm/gateway/json_text.h"
#include "vmm/gateway/vm_json.h"

static Bulkhead__Config__Vm *read_text(const char *text, size_t bytes)
{
	struct json_errors errors = {0};
	json_t *value = json_text_parse(text, bytes, &errors);
	Bulkhead__Config__Vm *config = value ? vm_json_read(value, &errors) : NULL;

	if ((config != NULL) != (errors.count == 0))
		abort();
	json_decref(value);
	return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bulkhead__Config__Vm *config = read_text((const char *)data, size);
	Bulkhead__Config__Vm *again;
	struct error err = ERROR_INIT;
	json_t *echo;
	char *text;

	if (!config)
		return 0;
	if (vm_config_complete(config, &err) == 0) {
		echo = vm_json_write(config, NULL, 0);
		text = json_dumps(echo, 0);
		json_decref(echo);
		if (!text)
			abort();
		again = read_text(text, strlen(text));
		if (!again || bulkhead__config__vm__get_packed_size(again) <
				      bulkhead__config__vm__get_packed_size(config))
			abort();
		vm_config_free(again);
		free(text);
	}
	vm_config_free(config);
	return 0;
}
