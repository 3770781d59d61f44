/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest: what is built is read, and whatever a hostile one says is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/core/snapshot/snapshot_sample.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

typedef Bulkhead__Snapshot__Manifest Manifest;

static struct snapshot_sample sample;

static int setup(void **state)
{
	(void)state;
	sample_init(&sample);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sample_destroy(&sample);
	return 0;
}

static Manifest *parse(struct error *err)
{
	struct sample_file *file = sample_find(&sample, MANIFEST_FILE_NAME);

	sample_write_manifest(&sample);
	*err = (struct error)ERROR_INIT;
	return manifest_parse(file->data, file->bytes, err);
}

static void assert_taken(void)
{
	struct error err;
	Manifest *manifest = parse(&err);

	if (!manifest)
		fail_msg("%s", err.message);
	manifest_free(manifest);
}

static void assert_refused(int code, const char *reason)
{
	struct error err;
	Manifest *manifest = parse(&err);

	if (manifest)
		fail_msg("taken: %s", reason);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, reason))
		fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static void set_text(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	assert_non_null(*field);
}

static void what_was_built_is_read(void **state)
{
	const Manifest *built = sample.manifest;
	const Bulkhead__Snapshot__MemoryRegion *region;
	struct memory_index index;
	struct error err;
	Manifest *read = parse(&err);

	(void)state;
	if (!read)
		fail_msg("%s", err.message);
	assert_int_equal(read->format_version, MANIFEST_FORMAT_VERSION);
	assert_string_equal(read->product_version, BULKHEAD_VERSION);
	assert_true(read->created_at_ns == built->created_at_ns);
	assert_int_equal(read->vm_uuid.len, 16);
	assert_memory_equal(read->vm_uuid.data, built->vm_uuid.data, 16);
	assert_int_equal(read->parent_digest.len, 0);
	assert_string_equal(read->host->cpu_vendor, built->host->cpu_vendor);
	assert_int_equal(read->n_files, 7);
	assert_int_equal(read->n_devices, 3);
	assert_string_equal(read->devices[2]->id, "console");
	assert_string_equal(read->devices[2]->file, "devices/console.pb");
	assert_int_equal(read->devices[2]->pci_slot, 3);
	assert_non_null(manifest_find_file(read, "vm.pb"));
	assert_null(manifest_find_file(read, "vm.p"));
	region = read->memory[0];
	index = manifest_memory_index(region);
	assert_int_equal(index.chunk_count, SAMPLE_MEMORY_BYTES / MEMORY_FILE_CHUNK_BYTES);
	for (unsigned i = 0; i < index.chunk_count; i++)
		assert_int_equal(memory_index_has(&index, i), i == 3 || i == 7);
	manifest_free(read);
}

static void two_snapshots_have_two_identities(void **state)
{
	Manifest *one = manifest_new(), *other = manifest_new();

	(void)state;
	assert_memory_not_equal(one->vm_uuid.data, other->vm_uuid.data, 16);
	manifest_free(one);
	manifest_free(other);
	manifest_free(NULL);
}

static void another_format_version_is_refused_by_number(void **state)
{
	(void)state;
	sample.manifest->format_version = 2;
	assert_refused(-ENOTSUP, "has format version 2; this program reads version 1");
	sample.manifest->format_version = 0;
	assert_refused(-ENOTSUP, "version 0");
	sample.manifest->format_version = UINT32_MAX;
	assert_refused(-ENOTSUP, "version 4294967295");
}

/* What it does not hold is in its parent: no hole. */
static void an_incremental_one_is_not_taken_for_a_whole_one(void **state)
{
	static uint8_t digest[16];

	(void)state;
	sample.manifest->parent_digest.data = digest;
	sample.manifest->parent_digest.len = sizeof(digest);
	assert_refused(-ENOTSUP, "incremental");
	sample.manifest->parent_digest.data = NULL;
	sample.manifest->parent_digest.len = 0;
}

static void a_manifest_without_a_host_is_refused(void **state)
{
	(void)state;
	bulkhead__snapshot__host__free_unpacked(sample.manifest->host, NULL);
	sample.manifest->host = NULL;
	assert_refused(-EINVAL, "host");
}

static void only_our_own_file_names_are_taken(void **state)
{
	static const char *const names[] = {"../x",
					    "/etc/passwd",
					    "devices/../../x",
					    "",
					    ".",
					    "devices/",
					    "devices/root",
					    "./devices/root.pb",
					    "devices//root.pb",
					    "memory-region-0",
					    "manifest.pb",
					    "devices/root.pb\n"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		set_text(&sample.manifest->devices[0]->file, names[i]);
		assert_refused(-EINVAL, "must be \"devices/root.pb\"");
	}
	set_text(&sample.manifest->devices[0]->file, "devices/root.pb");
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i], "memory-region-0") == 0)
			continue;
		set_text(&sample.manifest->memory[0]->file, names[i]);
		assert_refused(-EINVAL, "must be \"memory-region-0\"");
	}
	set_text(&sample.manifest->memory[0]->file, "memory-region-0");
	assert_taken();
}

static void an_id_that_is_a_path_is_refused(void **state)
{
	static const char *const ids[] = {"../x", "a/b", ".",	 "..",	       ".hidden",
					  "",	  "a b", "a\nb", "caf\xc3\xa9"};
	char file[160], longest[66];

	(void)state;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		(void)snprintf(file, sizeof(file), "devices/%s.pb", ids[i]);
		set_text(&sample.manifest->devices[1]->id, ids[i]);
		set_text(&sample.manifest->devices[1]->file, file);
		assert_refused(-EINVAL, "bad device id");
	}
	memset(longest, 'a', 65);
	longest[65] = '\0';
	set_text(&sample.manifest->devices[1]->id, longest);
	assert_refused(-EINVAL, "bad device id");
	set_text(&sample.manifest->devices[1]->id, "rng");
	set_text(&sample.manifest->devices[1]->file, "devices/rng.pb");
	set_text(&sample.manifest->devices[1]->kind, "../../bin/sh");
	assert_refused(-EINVAL, "bad device kind");
}

static void a_device_that_is_listed_twice_is_refused(void **state)
{
	(void)state;
	set_text(&sample.manifest->devices[1]->id, "root");
	set_text(&sample.manifest->devices[1]->file, "devices/root.pb");
	assert_refused(-EINVAL, "lists device \"root\" twice");
}

static void two_devices_in_one_slot_are_refused(void **state)
{
	static const uint32_t slots[] = {0, 1, 32, 33, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		sample.manifest->devices[1]->pci_slot = slots[i];
		assert_refused(-EINVAL, "puts device \"rng\" into slot");
	}
	sample.manifest->devices[1]->pci_slot = 31;
	assert_taken();
}

static void too_many_devices_are_refused(void **state)
{
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 29; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "more%u", i);
		assert_int_equal(manifest_add_device(sample.manifest, id, "blk", i, &err), 0);
	}
	assert_refused(-EINVAL, "lists 32 devices");
}

static void counts_of_vcpus_that_cannot_be_are_refused(void **state)
{
	(void)state;
	sample.manifest->vcpu_count = 0;
	assert_refused(-EINVAL, "lists 0 vCPUs");
	sample.manifest->vcpu_count = 17;
	assert_refused(-EINVAL, "lists 17 vCPUs");
	sample.manifest->vcpu_count = UINT32_MAX;
	assert_refused(-EINVAL, "vCPUs");
	sample.manifest->vcpu_count = 3;
	assert_refused(-EINVAL, "does not list \"vcpu-2.pb\"");
	sample.manifest->vcpu_count = 1; /* vcpu-1.pb belongs to nothing */
	assert_refused(-EINVAL, "lists 7 files, not the 6");
}

static void files_that_are_not_ours_are_refused(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(manifest_add_file(sample.manifest, "../x", (const uint8_t *)"x", 1, &err),
			 0);
	assert_refused(-EINVAL, "lists 8 files, not the 7");
}

static void a_file_that_is_not_listed_is_refused(void **state)
{
	static const char *const names[] = {"config.pb", "vm.pb", "vcpu-0.pb", "devices/root.pb"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		Bulkhead__Snapshot__File *file =
			(Bulkhead__Snapshot__File *)(uintptr_t)manifest_find_file(sample.manifest,
										  names[i]);
		char reason[64];

		set_text(&file->name, "other");
		(void)snprintf(reason, sizeof(reason), "does not list \"%s\"", names[i]);
		assert_refused(-EINVAL, reason);
		set_text(&file->name, names[i]);
	}
}

static void a_file_of_a_size_that_cannot_be_is_refused(void **state)
{
	static const uint64_t sizes[] = {MANIFEST_MAX_SMALL_BYTES + 1, UINT64_MAX};
	Bulkhead__Snapshot__File *file = sample.manifest->files[0];

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		file->size_bytes = sizes[i];
		assert_refused(-EINVAL, "has a bad entry for");
	}
}

static void a_checksum_of_another_length_is_refused(void **state)
{
	Bulkhead__Snapshot__File *file = sample.manifest->files[0];

	(void)state;
	file->checksum.len = 15;
	assert_refused(-EINVAL, "has a bad entry for");
	file->checksum.len = 0;
	assert_refused(-EINVAL, "has a bad entry for");
}

static void regions_that_cannot_be_are_refused(void **state)
{
	static const struct {
		uint64_t gpa, size_bytes;
	} places[] = {
		{1, SAMPLE_MEMORY_BYTES},
		{0, 0},
		{0, (2 << 20) - 65536},
		{0, SAMPLE_MEMORY_BYTES + 1},
		{0, (1ULL << 40) + (2 << 20)},
		{0, UINT64_MAX},
		{0, UINT64_MAX - 65535},
		{UINT64_MAX - 4095, SAMPLE_MEMORY_BYTES},
		{UINT64_MAX - (1 << 20) + 1, SAMPLE_MEMORY_BYTES},
	};
	Bulkhead__Snapshot__MemoryRegion *region = sample.manifest->memory[0];

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		region->guest_physical_address = places[i].gpa;
		region->size_bytes = places[i].size_bytes;
		assert_refused(-EINVAL, "memory-region-0");
	}
}

static void chunks_that_cannot_be_are_refused(void **state)
{
	static const uint32_t sizes[] = {0,	1,	  4095,	   2048,     65535,
					 65537, 3 * 4096, 8 << 20, 1U << 31, UINT32_MAX};
	Bulkhead__Snapshot__MemoryRegion *region = sample.manifest->memory[0];

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		region->chunk_bytes = sizes[i];
		assert_refused(-EINVAL, "memory-region-0");
	}
	/* A size that could be, for which the map is too long or too short. */
	region->chunk_bytes = 4096;
	assert_refused(-EINVAL, "wrong chunk map");
	region->chunk_bytes = 4 << 20;
	assert_refused(-EINVAL, "wrong chunk map");
}

static void a_chunk_map_that_lies_is_refused(void **state)
{
	Bulkhead__Snapshot__MemoryRegion *region = sample.manifest->memory[0];

	(void)state;
	region->chunk_present.data[0] |= 1; /* one more than there are checksums */
	assert_refused(-EINVAL, "wrong number of checksums");
	region->chunk_present.data[0] &= (uint8_t)~9U; /* one less */
	assert_refused(-EINVAL, "wrong number of checksums");
	region->chunk_present.data[0] |= 8;
	assert_taken();
	region->chunk_checksums.len -= 1;
	assert_refused(-EINVAL, "wrong number of checksums");
	region->chunk_checksums.len += 1;
	region->chunk_present.len -= 1;
	assert_refused(-EINVAL, "wrong chunk map");
}

static void chunks_behind_the_end_are_refused(void **state)
{
	Bulkhead__Snapshot__MemoryRegion *region = sample.manifest->memory[0];

	(void)state;
	/* 14 MiB and 4 MiB chunks do not go together; 12 MiB make three, five bits are spare. */
	region->size_bytes = 12 << 20;
	region->chunk_bytes = 4 << 20;
	region->chunk_present.len = 1;
	region->chunk_present.data[0] = 0x03;
	assert_taken();
	region->chunk_present.data[0] = 0x09;
	assert_refused(-EINVAL, "has a chunk behind the end");
	region->chunk_present.data[0] = 0x81;
	assert_refused(-EINVAL, "has a chunk behind the end");
}

static void no_memory_or_too_much_of_it_is_refused(void **state)
{
	size_t count = sample.manifest->n_memory;

	(void)state;
	sample.manifest->n_memory = 0;
	assert_refused(-EINVAL, "lists 0 memory regions");
	sample.manifest->n_memory = count;
}

static void regions_that_overlap_are_refused(void **state)
{
	struct memory_index index = {.chunk_bytes = 65536, .chunk_count = 256};
	struct error err;

	(void)state;
	index.present_bytes = 32;
	index.present = calloc(1, 32);
	assert_non_null(index.present);
	assert_int_equal(manifest_add_memory(sample.manifest, 1, SAMPLE_MEMORY_BYTES,
					     SAMPLE_MEMORY_BYTES, &index, &err),
			 0);
	assert_taken();
	sample.manifest->memory[1]->guest_physical_address -= 4096;
	assert_refused(-EINVAL, "impossible place");
	sample.manifest->memory[1]->guest_physical_address = 0;
	assert_refused(-EINVAL, "impossible place");
}

/* Two bytes of file must not become fifty of memory, a million times. */
static void a_manifest_of_a_million_empty_entries_is_refused(void **state)
{
	const size_t count = 4U << 20;
	uint8_t *data = malloc(2 * count + SNAPSHOT_TRAILER_BYTES);
	struct error err = ERROR_INIT;
	size_t bytes = 2 * count;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < count; i++) {
		data[2 * i] = 6 << 3 | 2; /* files, of no bytes */
		data[2 * i + 1] = 0;
	}
	assert_int_equal(snapshot_file_seal(&data, &bytes, &err), 0);
	assert_null(manifest_parse(data, bytes, &err));
	assert_non_null(strstr(err.message, "needs more than"));
	free(data);
}

static void a_file_that_the_manifest_does_not_mean_is_refused(void **state)
{
	const Bulkhead__Snapshot__File *file = sample.manifest->files[0];
	struct sample_file *content = sample_find(&sample, file->name);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(manifest_check_file(file, content->data, content->bytes, &err), 0);
	assert_int_equal(manifest_check_file(file, content->data, content->bytes - 1, &err),
			 -EINVAL);
	content->data[0] ^= 1;
	assert_int_equal(manifest_check_file(file, content->data, content->bytes, &err), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_built_is_read),
		TEST(two_snapshots_have_two_identities),
		TEST(another_format_version_is_refused_by_number),
		TEST(an_incremental_one_is_not_taken_for_a_whole_one),
		TEST(a_manifest_without_a_host_is_refused),
		TEST(only_our_own_file_names_are_taken),
		TEST(an_id_that_is_a_path_is_refused),
		TEST(a_device_that_is_listed_twice_is_refused),
		TEST(two_devices_in_one_slot_are_refused),
		TEST(too_many_devices_are_refused),
		TEST(counts_of_vcpus_that_cannot_be_are_refused),
		TEST(files_that_are_not_ours_are_refused),
		TEST(a_file_that_is_not_listed_is_refused),
		TEST(a_file_of_a_size_that_cannot_be_is_refused),
		TEST(a_checksum_of_another_length_is_refused),
		TEST(regions_that_cannot_be_are_refused),
		TEST(chunks_that_cannot_be_are_refused),
		TEST(a_chunk_map_that_lies_is_refused),
		TEST(chunks_behind_the_end_are_refused),
		TEST(no_memory_or_too_much_of_it_is_refused),
		TEST(regions_that_overlap_are_refused),
		TEST(a_manifest_of_a_million_empty_entries_is_refused),
		TEST(a_file_that_the_manifest_does_not_mean_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
