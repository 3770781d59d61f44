/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/resource.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/broker/resource_socket.h"

#define MEMORY_FILE_MAX_BYTES (1ULL << 46)

/* Resources whose path has a default. */
static const char *resource_default_path(Bulkhead__Broker__ResourceKind kind)
{
	switch (kind) {
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_KVM:
		return "/dev/kvm";
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_USERFAULTFD:
		return "/dev/userfaultfd";
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_PTY:
		return "/dev/ptmx";
	default:
		return NULL;
	}
}

static bool id_is_plain(const char *id)
{
	size_t length = strlen(id);

	if (length == 0 || length >= RESOURCE_ID_SIZE)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)id[i]))
			return false;
	return true;
}

static int declaration_check(const Bulkhead__Broker__Resource *declaration, const char *path,
			     struct error *err)
{
	if (!id_is_plain(declaration->id))
		return error_set(err, -EINVAL, "a resource's id is empty, too long or not plain");
	if (declaration->kind <= BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_NONE ||
	    declaration->kind > BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE)
		return error_set(err, -EINVAL, "%s: unknown kind of resource", declaration->id);
	if (path[0] == '\0' || strlen(path) >= PATH_MAX)
		return error_set(err, -EINVAL, "%s: the path is empty or too long",
				 declaration->id);
	if (declaration->kind == BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_MEMORY_FILE &&
	    (declaration->size_bytes == 0 || declaration->size_bytes > MEMORY_FILE_MAX_BYTES))
		return error_set(err, -EINVAL, "%s: no such size", declaration->id);
	return 0;
}

static bool kind_is_directory(Bulkhead__Broker__ResourceKind kind)
{
	return kind == BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_READ ||
	       kind == BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE;
}

/* A VM may be snapshot many times, each time somewhere else. */
static int resource_replace_directory(struct resource *resource,
				      const Bulkhead__Broker__Resource *declaration,
				      const char *path, struct error *err)
{
	char *copy = strdup(path);

	if (!copy)
		return error_set_errno(err, -ENOMEM, "%s", declaration->id);
	free(resource->path);
	resource->path = copy;
	resource->kind = declaration->kind;
	return 0;
}

int resource_table_declare(struct resource_table *table,
			   const Bulkhead__Broker__Resource *declaration, struct error *err)
{
	const char *path = declaration->path;
	struct resource *resource;
	int rc;

	if (path[0] == '\0' && resource_default_path(declaration->kind))
		path = resource_default_path(declaration->kind);
	rc = declaration_check(declaration, path, err);
	if (rc != 0)
		return rc;
	resource = resource_table_find(table, declaration->id);
	if (resource && kind_is_directory(resource->kind) && kind_is_directory(declaration->kind))
		return resource_replace_directory(resource, declaration, path, err);
	if (resource)
		return error_set(err, -EEXIST, "%s is declared twice", declaration->id);
	if (table->count == RESOURCE_MAX)
		return error_set(err, -E2BIG, "more than %d resources", RESOURCE_MAX);
	resource = &table->entries[table->count];
	*resource = (struct resource){
		.kind = declaration->kind,
		.read_only = declaration->read_only,
		.direct = declaration->direct,
		.size_bytes = declaration->size_bytes,
		.path = strdup(path),
	};
	if (!resource->path)
		return error_set_errno(err, -ENOMEM, "%s", declaration->id);
	(void)snprintf(resource->id, sizeof(resource->id), "%s", declaration->id);
	table->count++;
	return 0;
}

struct resource *resource_table_find(struct resource_table *table, const char *id)
{
	for (unsigned i = 0; i < table->count; i++)
		if (strcmp(table->entries[i].id, id) == 0)
			return &table->entries[i];
	return NULL;
}

void resource_table_destroy(struct resource_table *table)
{
	for (unsigned i = 0; i < table->count; i++) {
		resource_socket_unlink(&table->entries[i]);
		free(table->entries[i].path);
	}
	table->count = 0;
}
