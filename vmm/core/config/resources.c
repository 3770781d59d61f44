/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/resources.h"

#include <stdio.h>
#include <stdlib.h>

Bulkhead__Broker__Resource *resource_list_add(struct resource_list *list,
					      Bulkhead__Broker__ResourceKind kind,
					      const char *prefix, const char *id, const char *path)
{
	Bulkhead__Broker__Resource *resource;

	if (list->count == RESOURCE_LIST_MAX)
		return NULL;
	resource = &list->items[list->count];
	bulkhead__broker__resource__init(resource);
	(void)snprintf(list->ids[list->count], sizeof(list->ids[0]), "%s%s", prefix, id);
	resource->id = list->ids[list->count];
	resource->kind = kind;
	resource->path = (char *)(uintptr_t)path;
	list->pointers[list->count++] = resource;
	return resource;
}

void resource_list_add_terminal(struct resource_list *list, const char *id,
				Bulkhead__Config__SerialMode mode, const char *path)
{
	switch (mode) {
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE:
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_OUTPUT_FILE, id,
				  "", path);
		break;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY:
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_PTY, id, "",
				  path);
		break;
	case BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET:
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_LISTEN_SOCKET, id,
				  "", path);
		break;
	default:
		break;
	}
}

static void resource_list_fill(struct resource_list *list, const Bulkhead__Config__Vm *config)
{
	resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_KVM, "kvm", "", "");
	if (config->payload->kernel[0])
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ,
				  "kernel", "", config->payload->kernel);
	if (config->payload->initramfs[0])
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ,
				  "initramfs", "", config->payload->initramfs);
	if (config->memory->file[0]) {
		Bulkhead__Broker__Resource *memory = resource_list_add(
			list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_MEMORY_FILE, "memory", "",
			config->memory->file);
		if (memory)
			memory->size_bytes = config->memory->size_bytes;
	}
	for (size_t i = 0; i < config->n_disks; i++) {
		Bulkhead__Broker__Resource *disk =
			resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DISK,
					  "disk:", config->disks[i]->id, config->disks[i]->path);
		if (!disk)
			return;
		disk->read_only = config->disks[i]->read_only;
		disk->direct = config->disks[i]->direct;
	}
	if (config->rng)
		resource_list_add(list, BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_CHARACTER, "rng",
				  "", config->rng->src);
	resource_list_add_terminal(list, "serial", config->serial->mode, config->serial->path);
	if (config->console)
		resource_list_add_terminal(list, "console", config->console->mode,
					   config->console->path);
}

struct resource_list *resource_list_new(const Bulkhead__Config__Vm *config)
{
	struct resource_list *list = calloc(1, sizeof(*list));

	if (list && config)
		resource_list_fill(list, config);
	return list;
}
