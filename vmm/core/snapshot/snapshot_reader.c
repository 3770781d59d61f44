/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/snapshot_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "ipc/unpack.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"
#include "vmm/core/memory/vm_memory.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"
#include "vmm/core/workers/broker_snapshot.h"

/* That are opened at once; there are never more. */
#define MANIFEST_MAX_FILES                                                                         \
	(2 + MANIFEST_MAX_VCPUS + MANIFEST_MAX_DEVICES + GUEST_MEMORY_MAX_REGIONS)

/* Read a file whole; with an entry in the manifest, check it against that, and give the message's
 * length. */
static int reader_read_file(const struct snapshot_source *source, const char *name,
			    const Bulkhead__Snapshot__File *entry, uint8_t **data, size_t *bytes,
			    struct error *err)
{
	cleanup_fd int fd = -1;
	size_t limit = entry ? MANIFEST_MAX_SMALL_BYTES : SNAPSHOT_MAX_FILE_BYTES;
	int result = source->open_file(source->opaque, name, &fd, err);

	if (result < 0)
		return result;
	result = snapshot_file_read(fd, limit, data, bytes, err);
	if (result == 0 && entry)
		result = manifest_check_file(entry, *data, *bytes, err);
	if (result == 0 && entry)
		result = snapshot_file_verify(*data, *bytes, bytes, err);
	if (result < 0)
		(void)error_prefix(err, "%s", name);
	return result;
}

static int reader_read_message(struct snapshot_reader *reader, const struct snapshot_source *source,
			       const char *name, const ProtobufCMessageDescriptor *descriptor,
			       void *message, struct error *err)
{
	cleanup_free uint8_t *data = NULL;
	size_t bytes = 0;
	int result = reader_read_file(source, name, manifest_find_file(reader->manifest, name),
				      &data, &bytes, err);

	if (result < 0)
		return result;
	result = unpack_message(descriptor, data, bytes, message, err);
	if (result < 0)
		(void)error_prefix(err, "%s", name);
	return result;
}

static int reader_read_manifest(struct snapshot_reader *reader,
				const struct snapshot_source *source, struct error *err)
{
	cleanup_free uint8_t *data = NULL;
	size_t bytes = 0;

	if (reader_read_file(source, MANIFEST_FILE_NAME, NULL, &data, &bytes, err) < 0) {
		if (err->code == -ENOENT)
			error_prefix(err, "this is not a snapshot, or it was never finished");
		return err->code;
	}
	reader->manifest = manifest_parse(data, bytes, err);
	return reader->manifest ? 0 : error_prefix(err, "%s", MANIFEST_FILE_NAME);
}

static int reader_check_config(const struct snapshot_reader *reader, struct error *err)
{
	const Bulkhead__Snapshot__Manifest *manifest = reader->manifest;
	uint64_t gpa[2], bytes[2];
	unsigned regions = vm_memory_layout(reader->config->memory->size_bytes, gpa, bytes);

	if (reader->config->cpus->boot != manifest->vcpu_count)
		return error_set(err, -EINVAL, "has %u vCPUs, the manifest lists %u",
				 reader->config->cpus->boot, manifest->vcpu_count);
	if (regions != manifest->n_memory)
		return error_set(err, -EINVAL, "has %u memory regions, the manifest lists %zu",
				 regions, manifest->n_memory);
	for (unsigned i = 0; i < regions; i++)
		if (manifest->memory[i]->guest_physical_address != gpa[i] ||
		    manifest->memory[i]->size_bytes != bytes[i])
			return error_set(err, -EINVAL,
					 "has another memory region %u than the manifest", i);
	return 0;
}

static int reader_read_config(struct snapshot_reader *reader, const struct snapshot_source *source,
			      struct error *err)
{
	Bulkhead__Snapshot__ConfigFile *file = NULL;
	int result = reader_read_message(reader, source, MANIFEST_CONFIG_NAME,
					 &bulkhead__snapshot__config_file__descriptor, &file, err);

	if (result < 0 || !file)
		return result;
	result = unpack_message(&bulkhead__config__vm__descriptor, file->config.data,
				file->config.len, (ProtobufCMessage **)&reader->config, err);
	bulkhead__snapshot__config_file__free_unpacked(file, NULL);
	if (result < 0 || vm_config_complete(reader->config, err) < 0 ||
	    reader_check_config(reader, err) < 0)
		return error_prefix(err, "%s", MANIFEST_CONFIG_NAME);
	return 0;
}

static int reader_read_vcpus(struct snapshot_reader *reader, const struct snapshot_source *source,
			     struct error *err)
{
	for (unsigned i = 0; i < reader->manifest->vcpu_count; i++) {
		cleanup_free uint8_t *data = NULL;
		char name[32];
		size_t bytes = 0;

		manifest_vcpu_file_name(i, name, sizeof(name));
		if (reader_read_file(source, name, manifest_find_file(reader->manifest, name),
				     &data, &bytes, err) < 0)
			return err->code;
		reader->vcpu_count = i + 1;
		if (vcpu_state_unpack(data, bytes, i, &reader->vcpus[i], err) < 0)
			return error_prefix(err, "%s", name);
	}
	return 0;
}

static int reader_read_devices(struct snapshot_reader *reader, const struct snapshot_source *source,
			       struct error *err)
{
	for (size_t i = 0; i < reader->manifest->n_devices; i++)
		if (reader_read_message(reader, source, reader->manifest->devices[i]->file,
					&bulkhead__snapshot__device_blob__descriptor,
					&reader->devices[i], err) < 0)
			return err->code;
	return 0;
}

static int reader_open_memory(struct snapshot_reader *reader, const struct snapshot_source *source,
			      struct error *err)
{
	for (size_t i = 0; i < reader->manifest->n_memory; i++)
		if (source->open_file(source->opaque, reader->manifest->memory[i]->file,
				      &reader->memory_fds[i], err) < 0)
			return err->code;
	return 0;
}

/* Every file but the manifest, which lists all of them. */
static void reader_expect_files(const struct snapshot_reader *reader,
				const struct snapshot_source *source)
{
	const Bulkhead__Snapshot__Manifest *manifest = reader->manifest;
	const char *names[MANIFEST_MAX_FILES];
	unsigned count = 0;

	if (!source->expect_files)
		return;
	for (size_t i = 0; i < manifest->n_files && count < MANIFEST_MAX_FILES; i++)
		names[count++] = manifest->files[i]->name;
	for (size_t i = 0; i < manifest->n_memory && count < MANIFEST_MAX_FILES; i++)
		names[count++] = manifest->memory[i]->file;
	source->expect_files(source->opaque, names, count);
}

static int reader_read_all(struct snapshot_reader *reader, const struct snapshot_source *source,
			   struct error *err)
{
	if (reader_read_manifest(reader, source, err) < 0)
		return err->code;
	reader_expect_files(reader, source);
	if (reader_read_config(reader, source, err) < 0 ||
	    reader_read_message(reader, source, MANIFEST_VM_NAME,
				&bulkhead__vmstate__vm__descriptor, &reader->vm, err) < 0 ||
	    reader_read_vcpus(reader, source, err) < 0 ||
	    reader_read_devices(reader, source, err) < 0)
		return err->code;
	return reader_open_memory(reader, source, err);
}

struct snapshot_reader *snapshot_reader_read(const struct snapshot_source *source,
					     struct error *err)
{
	struct snapshot_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < 4; i++)
		reader->memory_fds[i] = -1;
	if (reader_read_all(reader, source, err) == 0)
		return reader;
	snapshot_reader_destroy(reader);
	return NULL;
}

/* The broker as a source: what is expected is opened with one wait, and kept until it is wanted. */
struct broker_source {
	struct broker_client *broker;
	const char *names[BROKER_SNAPSHOT_MAX_FILES];
	int fds[BROKER_SNAPSHOT_MAX_FILES]; /* -1: taken, or not to be had */
	unsigned count;
};

static void broker_expect_files(void *opaque, const char *const *names, unsigned count)
{
	struct broker_source *source = opaque;

	source->count = count < BROKER_SNAPSHOT_MAX_FILES ? count : BROKER_SNAPSHOT_MAX_FILES;
	memcpy(source->names, names, source->count * sizeof(names[0]));
	broker_snapshot_files(source->broker, source->names, source->count, source->fds);
}

static int broker_open_file(void *opaque, const char *name, int *fd, struct error *err)
{
	struct broker_source *source = opaque;

	for (unsigned i = 0; i < source->count; i++)
		if (source->fds[i] >= 0 && strcmp(source->names[i], name) == 0) {
			*fd = fd_steal(&source->fds[i]);
			return 0;
		}
	return broker_snapshot_file(source->broker, name, fd, err);
}

struct snapshot_reader *snapshot_reader_open(struct broker_client *broker, const char *path,
					     struct error *err)
{
	struct broker_source files = {.broker = broker};
	struct snapshot_source source = {.open_file = broker_open_file,
					 .expect_files = broker_expect_files,
					 .opaque = &files};
	struct error ignored = ERROR_INIT;
	struct snapshot_reader *reader;

	if (broker_snapshot_open(broker, path, false, err) < 0)
		return NULL;
	reader = snapshot_reader_read(&source, err);
	for (unsigned i = 0; i < files.count; i++)
		fd_close(&files.fds[i]);
	if (broker_snapshot_close(broker, &ignored) < 0)
		log_warning("snapshot %s: %s", path, ignored.message);
	if (!reader)
		error_prefix(err, "snapshot %s", path);
	return reader;
}

void snapshot_reader_destroy(struct snapshot_reader *reader)
{
	if (!reader)
		return;
	for (unsigned i = 0; i < 4; i++)
		fd_close(&reader->memory_fds[i]);
	for (unsigned i = 0; i < reader->vcpu_count; i++)
		vcpu_registers_release(&reader->vcpus[i]);
	for (unsigned i = 0; i < 31; i++)
		if (reader->devices[i])
			bulkhead__snapshot__device_blob__free_unpacked(reader->devices[i], NULL);
	if (reader->vm)
		bulkhead__vmstate__vm__free_unpacked(reader->vm, NULL);
	vm_config_free(reader->config);
	manifest_free(reader->manifest);
	free(reader);
}
