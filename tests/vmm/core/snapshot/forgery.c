/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/forgery.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

static int forgery_open(const char *folder, const char *name, int flags)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

uint8_t *forgery_load(const char *folder, const char *name, size_t *bytes)
{
	int fd = forgery_open(folder, name, O_RDONLY);
	struct error err = ERROR_INIT;
	uint8_t *data = NULL;

	assert_int_equal(snapshot_file_read(fd, SNAPSHOT_MAX_FILE_BYTES, &data, bytes, &err), 0);
	close(fd);
	return data;
}

void forgery_store(const char *folder, const char *name, const uint8_t *data, size_t bytes)
{
	int fd = forgery_open(folder, name, O_WRONLY | O_TRUNC);

	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
}

Bulkhead__Snapshot__Manifest *forgery_read_manifest(const char *folder)
{
	Bulkhead__Snapshot__Manifest *manifest;
	struct error err = ERROR_INIT;
	size_t bytes;
	uint8_t *data = forgery_load(folder, MANIFEST_FILE_NAME, &bytes);

	manifest = manifest_parse(data, bytes, &err);
	if (!manifest)
		fail_msg("%s", err.message);
	free(data);
	return manifest;
}

void forgery_write_manifest(const char *folder, Bulkhead__Snapshot__Manifest *manifest)
{
	struct error err = ERROR_INIT;
	uint8_t *data;
	size_t bytes;

	assert_int_equal(snapshot_file_pack(&manifest->base, &data, &bytes, &err), 0);
	forgery_store(folder, MANIFEST_FILE_NAME, data, bytes);
	free(data);
}

struct forgery forgery_make(const char *folder, const char *name, const ProtobufCMessage *message)
{
	struct forgery forgery = {.folder = folder, .name = name};
	Bulkhead__Snapshot__Manifest *manifest = forgery_read_manifest(folder);
	struct error err = ERROR_INIT;
	uint8_t *data;
	size_t bytes;

	forgery.data = forgery_load(folder, name, &forgery.bytes);
	forgery.manifest = forgery_load(folder, MANIFEST_FILE_NAME, &forgery.manifest_bytes);
	assert_int_equal(snapshot_file_pack(message, &data, &bytes, &err), 0);
	forgery_store(folder, name, data, bytes);
	for (size_t i = 0; i < manifest->n_files; i++)
		if (strcmp(manifest->files[i]->name, name) == 0) {
			manifest->files[i]->size_bytes = bytes;
			snapshot_checksum(data, bytes, manifest->files[i]->checksum.data);
		}
	forgery_write_manifest(folder, manifest);
	manifest_free(manifest);
	free(data);
	return forgery;
}

void forgery_undo(struct forgery *forgery)
{
	forgery_store(forgery->folder, forgery->name, forgery->data, forgery->bytes);
	forgery_store(forgery->folder, MANIFEST_FILE_NAME, forgery->manifest,
		      forgery->manifest_bytes);
	free(forgery->data);
	free(forgery->manifest);
}
