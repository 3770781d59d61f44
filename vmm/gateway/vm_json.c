/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/vm_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gateway/json_text.h"
#include "vmm/gateway/vm_json_tables.h"

static int part_ensure(void *part, const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage **message = part;

	if (*message)
		return 0;
	*message = calloc(1, descriptor->sizeof_message);
	if (!*message)
		return -ENOMEM;
	protobuf_c_message_init(descriptor, *message);
	return 0;
}

/*
 * What a client of the API leaves out means what it means there, not on the command line: no
 * terminal, for nobody sits in front of it, and an entropy device.
 */
static int config_ensure_parts(Bulkhead__Config__Vm *config)
{
	bool has_serial = config->serial != NULL;

	if (part_ensure(&config->cpus, &bulkhead__config__cpus__descriptor) < 0 ||
	    part_ensure(&config->memory, &bulkhead__config__memory__descriptor) < 0 ||
	    part_ensure(&config->serial, &bulkhead__config__serial__descriptor) < 0 ||
	    part_ensure(&config->rng, &bulkhead__config__rng__descriptor) < 0)
		return -ENOMEM;
	if (!has_serial && config->serial)
		config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	return 0;
}

Bulkhead__Config__Vm *vm_json_read(json_t *value, struct json_errors *errors)
{
	Bulkhead__Config__Vm *config =
		(Bulkhead__Config__Vm *)json_message_read(&vm_json_config, value, "", errors);

	if (config && config_ensure_parts(config) < 0) {
		json_errors_add(errors, "", "out of memory");
		bulkhead__config__vm__free_unpacked(config, NULL);
		return NULL;
	}
	return config;
}

Bulkhead__Config__Vm *vm_json_parse_text(const char *text, size_t bytes, struct error *err)
{
	struct json_errors errors = {0};
	char joined[ERROR_MESSAGE_SIZE];
	Bulkhead__Config__Vm *config;
	json_t *value;

	if (bytes > VM_JSON_MAX_BYTES) {
		error_set(err, -EFBIG, "longer than %d bytes", VM_JSON_MAX_BYTES);
		return NULL;
	}
	value = json_text_parse(text, bytes, &errors);
	config = value ? vm_json_read(value, &errors) : NULL;
	json_decref(value);
	if (config)
		return config;
	json_errors_join(&errors, joined, sizeof(joined));
	error_set(err, -EINVAL, "%s", joined);
	return NULL;
}

/* The slave's path, as clients look for it. */
static void write_terminal(json_t *object, const char *member, const char *device_id,
			   Bulkhead__Control__Terminal *const *terminals, size_t terminal_count)
{
	json_t *terminal = json_object_get(object, member);

	for (size_t i = 0; i < terminal_count && terminal; i++)
		if (strcmp(terminals[i]->device_id, device_id) == 0)
			(void)json_object_set_new(terminal, "file",
						  json_string(terminals[i]->path));
}

json_t *vm_json_write(const Bulkhead__Config__Vm *config,
		      Bulkhead__Control__Terminal *const *terminals, size_t terminal_count)
{
	json_t *object = json_message_write(&vm_json_config, &config->base);

	write_terminal(object, "serial", "serial", terminals, terminal_count);
	if (config->console)
		write_terminal(object, "console", config->console->id, terminals, terminal_count);
	else
		(void)json_object_set_new(object, "console", json_pack("{s:s}", "mode", "Off"));
	return object;
}

const char *vm_json_state_name(Bulkhead__Control__VmState state)
{
	switch (state) {
	case BULKHEAD__CONTROL__VM_STATE__STATE_RUNNING:
		return "Running";
	case BULKHEAD__CONTROL__VM_STATE__STATE_PAUSED:
		return "Paused";
	case BULKHEAD__CONTROL__VM_STATE__STATE_SHUTDOWN:
		return "Shutdown";
	default:
		return "Created";
	}
}

static json_t *write_device(const Bulkhead__Control__Device *device)
{
	json_t *object =
		json_pack("{s:s, s:[], s:[], s:s, s:s}", "id", device->id, "resources", "children",
			  "kind", device->kind, "worker", device->worker_state);
	char bdf[16];

	if (device->pci_slot >= 0 && device->pci_slot < 32) {
		(void)snprintf(bdf, sizeof(bdf), "0000:00:%02x.0", (unsigned)device->pci_slot);
		(void)json_object_set_new(object, "pci_bdf", json_string(bdf));
	}
	return object;
}

json_t *vm_json_write_info(const Bulkhead__Control__Info *info)
{
	json_t *tree = json_object();
	json_t *object = json_object();

	for (size_t i = 0; i < info->n_devices; i++)
		(void)json_object_set_new(tree, info->devices[i]->id,
					  write_device(info->devices[i]));
	if (info->config)
		(void)json_object_set_new(
			object, "config",
			vm_json_write(info->config, info->terminals, info->n_terminals));
	(void)json_object_set_new(object, "state", json_string(vm_json_state_name(info->state)));
	(void)json_object_set_new(object, "memory_actual_size",
				  json_integer((json_int_t)(info->memory_bytes & INT64_MAX)));
	(void)json_object_set_new(object, "device_tree", tree);
	return object;
}
