/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUS_MAX_RANGES	   256
#define BUS_MAX_BACKGROUND 4
#define BUS_NAME_SIZE	   16

struct bus_range {
	uint64_t base;
	uint64_t last; /* inclusive, so that a range may end at the top of the address space */
	const struct bus_device_ops *ops;
	void *opaque;
};

struct bus {
	char name[BUS_NAME_SIZE];
	pthread_rwlock_t lock; /* guards what follows; shared while a handler runs */
	size_t count;
	struct bus_range ranges[BUS_MAX_RANGES]; /* by base, disjoint */
	size_t background_count;
	struct bus_range background[BUS_MAX_BACKGROUND]; /* disjoint among themselves */
};

struct bus_deferred {
	unsigned depth; /* of accesses being handled on this thread */
	void (*work)(void *opaque);
	void *opaque;
};

/* What a handler deferred belongs to the access, and an access to the thread that handles it. */
static __thread struct bus_deferred deferred;

struct bus *bus_new(const char *name)
{
	pthread_rwlockattr_t attributes;
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	(void)snprintf(bus->name, sizeof(bus->name), "%s", name);
	/* vCPUs that hammer a device must not keep a BAR from being moved. */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&bus->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	return bus;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	pthread_rwlock_destroy(&bus->lock);
	free(bus);
}

/* How many of the sorted ranges start at or below address. */
static size_t bus_count_up_to(const struct bus_range *ranges, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Insert into a sorted, disjoint array. */
static int bus_insert(struct bus_range *ranges, size_t *count, size_t capacity,
		      const struct bus_range *range, const char **neighbour)
{
	size_t position = bus_count_up_to(ranges, *count, range->base);

	if (position > 0 && ranges[position - 1].last >= range->base) {
		*neighbour = ranges[position - 1].ops->name;
		return -EEXIST;
	}
	if (position < *count && ranges[position].base <= range->last) {
		*neighbour = ranges[position].ops->name;
		return -EEXIST;
	}
	if (*count == capacity)
		return -ENOSPC;
	memmove(&ranges[position + 1], &ranges[position], (*count - position) * sizeof(*ranges));
	ranges[position] = *range;
	(*count)++;
	return 0;
}

static int bus_add_range(struct bus *bus, bool background, uint64_t base, uint64_t size_bytes,
			 const struct bus_device_ops *ops, void *opaque, struct error *err)
{
	struct bus_range range = {.base = base, .ops = ops, .opaque = opaque};
	const char *neighbour = "";
	int result;

	if (size_bytes == 0 || base + (size_bytes - 1) < base)
		return error_set(err, -EINVAL, "%s bus: %s: empty or wrapping range at 0x%" PRIx64,
				 bus->name, ops->name, base);
	range.last = base + (size_bytes - 1);
	pthread_rwlock_wrlock(&bus->lock);
	if (background)
		result = bus_insert(bus->background, &bus->background_count, BUS_MAX_BACKGROUND,
				    &range, &neighbour);
	else
		result = bus_insert(bus->ranges, &bus->count, BUS_MAX_RANGES, &range, &neighbour);
	pthread_rwlock_unlock(&bus->lock);
	if (result == -EEXIST)
		return error_set(err, result, "%s bus: %s at 0x%" PRIx64 " overlaps %s", bus->name,
				 ops->name, base, neighbour);
	if (result < 0)
		return error_set_errno(err, result, "%s bus: %s at 0x%" PRIx64, bus->name,
				       ops->name, base);
	return 0;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t size_bytes, const struct bus_device_ops *ops,
	    void *opaque, struct error *err)
{
	return bus_add_range(bus, false, base, size_bytes, ops, opaque, err);
}

int bus_add_background(struct bus *bus, uint64_t base, uint64_t size_bytes,
		       const struct bus_device_ops *ops, void *opaque, struct error *err)
{
	return bus_add_range(bus, true, base, size_bytes, ops, opaque, err);
}

static int bus_erase(struct bus_range *ranges, size_t *count, uint64_t base)
{
	size_t position = bus_count_up_to(ranges, *count, base);

	if (position == 0 || ranges[position - 1].base != base)
		return -ENOENT;
	memmove(&ranges[position - 1], &ranges[position], (*count - position) * sizeof(*ranges));
	(*count)--;
	return 0;
}

int bus_remove(struct bus *bus, uint64_t base)
{
	int result;

	pthread_rwlock_wrlock(&bus->lock);
	result = bus_erase(bus->ranges, &bus->count, base);
	if (result < 0)
		result = bus_erase(bus->background, &bus->background_count, base);
	pthread_rwlock_unlock(&bus->lock);
	return result;
}

static const struct bus_range *bus_find_in(const struct bus_range *ranges, size_t count,
					   uint64_t address, uint64_t last)
{
	size_t position = bus_count_up_to(ranges, count, address);

	if (position == 0 || ranges[position - 1].last < last)
		return NULL;
	return &ranges[position - 1];
}

/* The range that holds the whole access, or NULL. */
static const struct bus_range *bus_find(const struct bus *bus, uint64_t address,
					unsigned length_bytes)
{
	uint64_t last = address + length_bytes - 1;
	const struct bus_range *range;

	if (length_bytes == 0 || length_bytes > 8 || last < address)
		return NULL;
	range = bus_find_in(bus->ranges, bus->count, address, last);
	if (!range)
		range = bus_find_in(bus->background, bus->background_count, address, last);
	return range;
}

static void bus_access_begin(struct bus *bus)
{
	deferred.depth++;
	pthread_rwlock_rdlock(&bus->lock);
}

static void bus_access_end(struct bus *bus)
{
	void (*work)(void *opaque) = deferred.work;

	pthread_rwlock_unlock(&bus->lock);
	/* A handler may pass an access on to another bus: then the outer lock is still held. */
	if (--deferred.depth > 0 || !work)
		return;
	deferred.work = NULL;
	work(deferred.opaque);
}

bool bus_read(struct bus *bus, uint64_t address, uint8_t *data, unsigned length_bytes)
{
	const struct bus_range *range;

	memset(data, 0xff, length_bytes);
	bus_access_begin(bus);
	range = bus_find(bus, address, length_bytes);
	if (range)
		range->ops->read(range->opaque, address - range->base, data, length_bytes);
	bus_access_end(bus);
	return range != NULL;
}

bool bus_write(struct bus *bus, uint64_t address, const uint8_t *data, unsigned length_bytes)
{
	const struct bus_range *range;

	bus_access_begin(bus);
	range = bus_find(bus, address, length_bytes);
	if (range)
		range->ops->write(range->opaque, address - range->base, data, length_bytes);
	bus_access_end(bus);
	return range != NULL;
}

void bus_defer(void (*work)(void *opaque), void *opaque)
{
	if (deferred.depth == 0) {
		work(opaque);
		return;
	}
	deferred.work = work;
	deferred.opaque = opaque;
}
