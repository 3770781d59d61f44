/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files a configuration names, as declarations to the broker. Used by the core, for the
 * operator's command line, and by the gateway, for what a client asks: both must come to the same
 * ids.
 */
#ifndef BULKHEAD_VMM_CORE_CONFIG_RESOURCES_H
#define BULKHEAD_VMM_CORE_CONFIG_RESOURCES_H

#include <stddef.h>

#include "proto/broker.pb-c.h"
#include "proto/config.pb-c.h"

#define RESOURCE_LIST_MAX 64

/* Paths are borrowed from the configuration. */
struct resource_list {
	Bulkhead__Broker__Resource items[RESOURCE_LIST_MAX];
	Bulkhead__Broker__Resource *pointers[RESOURCE_LIST_MAX];
	char ids[RESOURCE_LIST_MAX][96];
	size_t count;
};

/* All files of a complete configuration (vm_config_complete); NULL: none. Freed with free(). NULL:
 * out of memory. */
struct resource_list *resource_list_new(const Bulkhead__Config__Vm *config);

/* One more, its id is prefix and id; NULL: the list is full. */
Bulkhead__Broker__Resource *resource_list_add(struct resource_list *list,
					      Bulkhead__Broker__ResourceKind kind,
					      const char *prefix, const char *id, const char *path);

/* The file, pty or socket of a serial port or console, if its mode has one. */
void resource_list_add_terminal(struct resource_list *list, const char *id,
				Bulkhead__Config__SerialMode mode, const char *path);

#endif
