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

static struct resource *resource_table_oldest(struct resource_table *table)
{
	struct resource *oldest = NULL;

	for (unsigned i = 0; i < table->count; i++) {
		struct resource *resource = &table->entries[i];

		if (!resource->bound && (!oldest || resource->declared_at < oldest->declared_at))
			oldest = resource;
	}
	return oldest;
}

/* A new entry, or that of the oldest declaration. NULL: the table is full. */
static struct resource *resource_table_place(struct resource_table *table)
{
	struct resource *oldest;

	if (table->count < RESOURCE_MAX)
		return &table->entries[table->count++];
	oldest = resource_table_oldest(table);
	if (oldest)
		free(oldest->path);
	return oldest;
}

static const char *declaration_path(const Bulkhead__Broker__Resource *declaration)
{
	const char *path = declaration->path;
	const char *fallback = resource_default_path(declaration->kind);

	return path[0] == '\0' && fallback ? fallback : path;
}

int resource_table_declare(struct resource_table *table,
			   const Bulkhead__Broker__Resource *declaration, struct error *err)
{
	const char *path = declaration_path(declaration);
	struct resource *resource;
	char *copy;
	int rc = declaration_check(declaration, path, err);

	if (rc != 0)
		return rc;
	resource = resource_table_find_same(table, declaration);
	if (resource) { /* the same VM starts again */
		resource->declared_at = ++table->declarations;
		return 0;
	}
	copy = strdup(path);
	if (!copy)
		return error_set_errno(err, -ENOMEM, "%s", declaration->id);
	resource = resource_table_place(table);
	if (!resource) {
		free(copy);
		return error_set(err, -E2BIG, "more than %d resources", RESOURCE_MAX);
	}
	*resource = (struct resource){
		.kind = declaration->kind,
		.read_only = declaration->read_only,
		.direct = declaration->direct,
		.size_bytes = declaration->size_bytes,
		.declared_at = ++table->declarations,
		.path = copy,
	};
	(void)snprintf(resource->id, sizeof(resource->id), "%s", declaration->id);
	return 0;
}

struct resource *resource_table_find(struct resource_table *table, const char *id)
{
	struct resource *last = NULL;

	for (unsigned i = 0; i < table->count; i++) {
		struct resource *resource = &table->entries[i];

		if (strcmp(resource->id, id) == 0 &&
		    (!last || resource->declared_at > last->declared_at))
			last = resource;
	}
	return last;
}

struct resource *resource_table_find_same(struct resource_table *table,
					  const Bulkhead__Broker__Resource *declaration)
{
	const char *path = declaration_path(declaration);

	for (unsigned i = 0; i < table->count; i++) {
		struct resource *resource = &table->entries[i];

		if (strcmp(resource->id, declaration->id) == 0 &&
		    strcmp(resource->path, path) == 0 && resource->kind == declaration->kind &&
		    resource->read_only == declaration->read_only &&
		    resource->direct == declaration->direct &&
		    resource->size_bytes == declaration->size_bytes)
			return resource;
	}
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
