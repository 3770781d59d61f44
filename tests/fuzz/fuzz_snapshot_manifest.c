/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests of snapshots: the input is the message, to which the checksum is added that an attacker
 * would add. One that is taken names nothing but our own files and has a checksum for every chunk.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

static void check_devices(const Bulkhead__Snapshot__Manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_devices; i++) {
		const Bulkhead__Snapshot__Device *device = manifest->devices[i];
		char name[80];

		require(!strchr(device->id, '/') && device->id[0] != '.');
		manifest_device_file_name(device->id, name, sizeof(name));
		require(strcmp(name, device->file) == 0);
		require(manifest_find_file(manifest, name) != NULL);
	}
}

static void check_memory(const Bulkhead__Snapshot__Manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_memory; i++) {
		struct memory_index index = manifest_memory_index(manifest->memory[i]);
		uint64_t present = 0;

		for (uint64_t chunk = 0; chunk < index.chunk_count; chunk++)
			present += memory_index_has(&index, chunk);
		require(present * SNAPSHOT_CHECKSUM_BYTES == index.checksums_bytes);
		require(index.chunk_count * index.chunk_bytes == manifest->memory[i]->size_bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bulkhead__Snapshot__Manifest *manifest;
	struct error err = ERROR_INIT;
	uint8_t *sealed = malloc(size + 1);
	size_t bytes = size;

	require(sealed != NULL);
	if (size)
		memcpy(sealed, data, size);
	require(snapshot_file_seal(&sealed, &bytes, &err) == 0);
	manifest = manifest_parse(sealed, bytes, &err);
	if (manifest) {
		check_devices(manifest);
		check_memory(manifest);
	} else {
		require(err.code < 0 && err.message[0]);
	}
	manifest_free(manifest);
	free(sealed);
	return 0;
}
