/* SPDX-License-Identifier: Apache-2.0 */
/* Building a manifest, and looking things up in one. */
#include "vmm/core/snapshot/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "vmm/core/snapshot/snapshot_file.h"

void manifest_free(Bulkhead__Snapshot__Manifest *manifest)
{
	if (manifest)
		bulkhead__snapshot__manifest__free_unpacked(manifest, NULL);
}

Bulkhead__Snapshot__Manifest *manifest_new(void)
{
	Bulkhead__Snapshot__Manifest *manifest = calloc(1, sizeof(*manifest));
	struct timespec now;

	if (!manifest)
		return NULL;
	bulkhead__snapshot__manifest__init(manifest);
	clock_gettime(CLOCK_REALTIME, &now);
	manifest->format_version = MANIFEST_FORMAT_VERSION;
	manifest->created_at_ns = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
	manifest->product_version = strdup(BULKHEAD_VERSION);
	manifest->vm_uuid.data = malloc(16);
	manifest->vm_uuid.len = manifest->vm_uuid.data ? 16 : 0;
	if (!manifest->product_version || !manifest->vm_uuid.data ||
	    getrandom(manifest->vm_uuid.data, 16, 0) != 16) {
		manifest_free(manifest);
		return NULL;
	}
	return manifest;
}

/* Make room for one more pointer; returns the grown array or NULL (the old one stays). */
static void *pointers_grow(void *pointers, size_t count)
{
	return realloc(pointers, (count + 1) * sizeof(void *));
}

int manifest_add_file(Bulkhead__Snapshot__Manifest *manifest, const char *name, const uint8_t *data,
		      size_t bytes, struct error *err)
{
	Bulkhead__Snapshot__File **files = pointers_grow(manifest->files, manifest->n_files);
	Bulkhead__Snapshot__File *file = calloc(1, sizeof(*file));

	if (files)
		manifest->files = files;
	if (!files || !file) {
		free(file);
		return error_set(err, -ENOMEM, "out of memory");
	}
	bulkhead__snapshot__file__init(file);
	files[manifest->n_files++] = file; /* half-built ones are freed with the manifest */
	file->size_bytes = bytes;
	file->checksum.data = malloc(SNAPSHOT_CHECKSUM_BYTES);
	file->name = strdup(name);
	if (!file->name || !file->checksum.data)
		return error_set(err, -ENOMEM, "out of memory");
	file->checksum.len = SNAPSHOT_CHECKSUM_BYTES;
	snapshot_checksum(data, bytes, file->checksum.data);
	return 0;
}

void manifest_device_file_name(const char *id, char *name, size_t bytes)
{
	(void)snprintf(name, bytes, "devices/%s.pb", id);
}

void manifest_vcpu_file_name(unsigned index, char *name, size_t bytes)
{
	(void)snprintf(name, bytes, "vcpu-%u.pb", index);
}

void manifest_memory_file_name(unsigned index, char *name, size_t bytes)
{
	(void)snprintf(name, bytes, "memory-region-%u", index);
}

int manifest_add_device(Bulkhead__Snapshot__Manifest *manifest, const char *id, const char *kind,
			unsigned pci_slot, struct error *err)
{
	Bulkhead__Snapshot__Device **devices =
		pointers_grow(manifest->devices, manifest->n_devices);
	Bulkhead__Snapshot__Device *device = calloc(1, sizeof(*device));
	char name[80];

	if (devices)
		manifest->devices = devices;
	if (!devices || !device) {
		free(device);
		return error_set(err, -ENOMEM, "out of memory");
	}
	bulkhead__snapshot__device__init(device);
	devices[manifest->n_devices++] = device;
	manifest_device_file_name(id, name, sizeof(name));
	device->pci_slot = pci_slot;
	device->id = strdup(id);
	device->kind = strdup(kind);
	device->file = strdup(name);
	if (!device->id || !device->kind || !device->file)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int manifest_add_memory(Bulkhead__Snapshot__Manifest *manifest, unsigned region, uint64_t gpa,
			uint64_t size_bytes, struct memory_index *index, struct error *err)
{
	Bulkhead__Snapshot__MemoryRegion **regions =
		pointers_grow(manifest->memory, manifest->n_memory);
	Bulkhead__Snapshot__MemoryRegion *to = calloc(1, sizeof(*to));
	char name[32];

	if (regions)
		manifest->memory = regions;
	if (!regions || !to) {
		free(to);
		return error_set(err, -ENOMEM, "out of memory");
	}
	bulkhead__snapshot__memory_region__init(to);
	regions[manifest->n_memory++] = to;
	manifest_memory_file_name(region, name, sizeof(name));
	to->file = strdup(name);
	if (!to->file)
		return error_set(err, -ENOMEM, "out of memory");
	to->guest_physical_address = gpa;
	to->size_bytes = size_bytes;
	to->chunk_bytes = index->chunk_bytes;
	to->chunk_present.data = index->present;
	to->chunk_present.len = index->present_bytes;
	to->chunk_checksums.data = index->checksums;
	to->chunk_checksums.len = index->checksums_bytes;
	*index = (struct memory_index){0};
	return 0;
}

const Bulkhead__Snapshot__File *manifest_find_file(const Bulkhead__Snapshot__Manifest *manifest,
						   const char *name)
{
	for (size_t i = 0; i < manifest->n_files; i++)
		if (strcmp(manifest->files[i]->name, name) == 0)
			return manifest->files[i];
	return NULL;
}

struct memory_index manifest_memory_index(const Bulkhead__Snapshot__MemoryRegion *region)
{
	return (struct memory_index){
		.chunk_bytes = region->chunk_bytes,
		.chunk_count = region->size_bytes / region->chunk_bytes,
		.present = region->chunk_present.data,
		.present_bytes = region->chunk_present.len,
		.checksums = region->chunk_checksums.data,
		.checksums_bytes = region->chunk_checksums.len,
	};
}

int manifest_check_file(const Bulkhead__Snapshot__File *file, const uint8_t *data, size_t bytes,
			struct error *err)
{
	uint8_t checksum[SNAPSHOT_CHECKSUM_BYTES];

	if (bytes != file->size_bytes)
		return error_set(err, -EINVAL, "has %zu bytes, the manifest says %llu", bytes,
				 (unsigned long long)file->size_bytes);
	snapshot_checksum(data, bytes, checksum);
	if (memcmp(checksum, file->checksum.data, sizeof(checksum)) != 0)
		return error_set(err, -EINVAL,
				 "is not the file that the manifest names: its checksum differs");
	return 0;
}
