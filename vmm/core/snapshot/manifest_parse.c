/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a manifest that anybody may have written. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/unpack.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

#define MAX_REGION_BYTES (1ULL << 40)
#define MAX_NAME_BYTES	 64
#define MIN_REGION_BYTES (2ULL << 20)

static int parse_check_id(const char *what, const char *id, struct error *err)
{
	size_t length = strlen(id);

	if (!length || length > MAX_NAME_BYTES || id[0] == '.')
		return error_set(err, -EINVAL, "has a bad %s", what);
	for (const char *at = id; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return error_set(err, -EINVAL, "has a bad %s", what);
	return 0;
}

/* A name must be exactly one that we would have written: no path of the file's own making is ever
 * opened. */
static int parse_check_name(const char *kind, const char *name, const char *expected,
			    struct error *err)
{
	if (strcmp(name, expected) == 0)
		return 0;
	return error_set(err, -EINVAL, "names \"%.80s\" as %s, which must be \"%s\"", name, kind,
			 expected);
}

static int parse_check_file(const Bulkhead__Snapshot__Manifest *manifest, const char *name,
			    struct error *err)
{
	const Bulkhead__Snapshot__File *file = manifest_find_file(manifest, name);

	if (!file)
		return error_set(err, -EINVAL, "does not list \"%s\"", name);
	if (file->checksum.len != SNAPSHOT_CHECKSUM_BYTES ||
	    file->size_bytes > MANIFEST_MAX_SMALL_BYTES)
		return error_set(err, -EINVAL, "has a bad entry for \"%s\"", name);
	return 0;
}

static int parse_check_devices(const Bulkhead__Snapshot__Manifest *manifest, struct error *err)
{
	uint32_t slots = 1; /* the host bridge's is taken */

	if (manifest->n_devices > MANIFEST_MAX_DEVICES)
		return error_set(err, -EINVAL, "lists %zu devices", manifest->n_devices);
	for (size_t i = 0; i < manifest->n_devices; i++) {
		const Bulkhead__Snapshot__Device *device = manifest->devices[i];
		char name[80];

		if (parse_check_id("device id", device->id, err) < 0 ||
		    parse_check_id("device kind", device->kind, err) < 0)
			return err->code;
		if (device->pci_slot > 31 || (slots & (1U << device->pci_slot)))
			return error_set(err, -EINVAL, "puts device \"%s\" into slot %u",
					 device->id, device->pci_slot);
		slots |= 1U << device->pci_slot;
		for (size_t j = 0; j < i; j++)
			if (strcmp(manifest->devices[j]->id, device->id) == 0)
				return error_set(err, -EINVAL, "lists device \"%s\" twice",
						 device->id);
		manifest_device_file_name(device->id, name, sizeof(name));
		if (parse_check_name("a device's file", device->file, name, err) < 0 ||
		    parse_check_file(manifest, name, err) < 0)
			return err->code;
	}
	return 0;
}

static uint64_t count_bits(const uint8_t *bytes, size_t length)
{
	uint64_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += (uint64_t)__builtin_popcount(bytes[i]);
	return count;
}

static int parse_check_region(const Bulkhead__Snapshot__MemoryRegion *region, unsigned index,
			      uint64_t previous_end, struct error *err)
{
	uint64_t chunks, end, spare;
	char name[32];

	manifest_memory_file_name(index, name, sizeof(name));
	if (parse_check_name("a memory file", region->file, name, err) < 0)
		return err->code;
	if (region->chunk_bytes < MEMORY_FILE_MIN_CHUNK_BYTES ||
	    region->chunk_bytes > MEMORY_FILE_MAX_CHUNK_BYTES ||
	    (region->chunk_bytes & (region->chunk_bytes - 1)))
		return error_set(err, -EINVAL, "gives \"%s\" chunks of %u bytes", name,
				 region->chunk_bytes);
	if (region->size_bytes < MIN_REGION_BYTES || region->size_bytes > MAX_REGION_BYTES ||
	    region->size_bytes % MEMORY_FILE_MAX_CHUNK_BYTES % region->chunk_bytes ||
	    region->guest_physical_address % GUEST_PAGE_SIZE ||
	    region->guest_physical_address < previous_end ||
	    __builtin_add_overflow(region->guest_physical_address, region->size_bytes, &end))
		return error_set(err, -EINVAL, "gives \"%s\" an impossible place or size", name);
	chunks = region->size_bytes / region->chunk_bytes;
	if (region->size_bytes % region->chunk_bytes ||
	    region->chunk_present.len != (chunks + 7) / 8)
		return error_set(err, -EINVAL, "has a wrong chunk map for \"%s\"", name);
	spare = region->chunk_present.len * 8 - chunks;
	if (spare &&
	    region->chunk_present.data[region->chunk_present.len - 1] >> (8 - (unsigned)spare))
		return error_set(err, -EINVAL, "has a chunk behind the end of \"%s\"", name);
	if (count_bits(region->chunk_present.data, region->chunk_present.len) *
		    SNAPSHOT_CHECKSUM_BYTES !=
	    region->chunk_checksums.len)
		return error_set(err, -EINVAL, "has a wrong number of checksums for \"%s\"", name);
	return 0;
}

static int parse_check_memory(const Bulkhead__Snapshot__Manifest *manifest, struct error *err)
{
	uint64_t previous_end = 0;

	if (!manifest->n_memory || manifest->n_memory > GUEST_MEMORY_MAX_REGIONS)
		return error_set(err, -EINVAL, "lists %zu memory regions", manifest->n_memory);
	for (size_t i = 0; i < manifest->n_memory; i++) {
		const Bulkhead__Snapshot__MemoryRegion *region = manifest->memory[i];

		if (parse_check_region(region, (unsigned)i, previous_end, err) < 0)
			return err->code;
		previous_end = region->guest_physical_address + region->size_bytes;
	}
	return 0;
}

static int parse_check_vcpus(const Bulkhead__Snapshot__Manifest *manifest, struct error *err)
{
	if (!manifest->vcpu_count || manifest->vcpu_count > MANIFEST_MAX_VCPUS)
		return error_set(err, -EINVAL, "lists %u vCPUs", manifest->vcpu_count);
	for (unsigned i = 0; i < manifest->vcpu_count; i++) {
		char name[32];

		manifest_vcpu_file_name(i, name, sizeof(name));
		if (parse_check_file(manifest, name, err) < 0)
			return err->code;
	}
	return 0;
}

static int parse_check(const Bulkhead__Snapshot__Manifest *manifest, struct error *err)
{
	size_t expected = 2 + (size_t)manifest->vcpu_count + manifest->n_devices;

	if (manifest->format_version != MANIFEST_FORMAT_VERSION)
		return error_set(err, -ENOTSUP,
				 "has format version %u; this program reads version %u",
				 manifest->format_version, MANIFEST_FORMAT_VERSION);
	/* What an incremental one does not hold is in its parent, and no hole. */
	if (manifest->parent_digest.len || manifest->parent_path[0])
		return error_set(err, -ENOTSUP,
				 "is of an incremental snapshot; this program reads whole ones");
	if (!manifest->host)
		return error_set(err, -EINVAL, "does not say which host it was made on");
	if (parse_check_vcpus(manifest, err) < 0 || parse_check_devices(manifest, err) < 0 ||
	    parse_check_memory(manifest, err) < 0 ||
	    parse_check_file(manifest, MANIFEST_CONFIG_NAME, err) < 0 ||
	    parse_check_file(manifest, MANIFEST_VM_NAME, err) < 0)
		return err->code;
	if (manifest->n_files != expected)
		return error_set(err, -EINVAL, "lists %zu files, not the %zu that belong to it",
				 manifest->n_files, expected);
	return 0;
}

Bulkhead__Snapshot__Manifest *manifest_parse(const uint8_t *data, size_t bytes, struct error *err)
{
	Bulkhead__Snapshot__Manifest *manifest;
	ProtobufCMessage *message;
	size_t message_bytes;

	if (snapshot_file_verify(data, bytes, &message_bytes, err) < 0)
		return NULL;
	if (unpack_message(&bulkhead__snapshot__manifest__descriptor, data, message_bytes, &message,
			   err) < 0) {
		error_prefix(err, "is not a manifest");
		return NULL;
	}
	manifest = (Bulkhead__Snapshot__Manifest *)message;
	if (parse_check(manifest, err) < 0) {
		manifest_free(manifest);
		return NULL;
	}
	return manifest;
}
