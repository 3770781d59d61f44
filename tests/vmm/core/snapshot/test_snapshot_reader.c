/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots that are damaged or lie: each is refused with the file and the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/vm_state.pb-c.h"
#include "tests/vmm/core/snapshot/snapshot_sample.h"
#include "vmm/core/snapshot/snapshot_file.h"

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

static void assert_refused(const char *name, const char *reason)
{
	struct error err;
	struct snapshot_reader *reader = sample_read(&sample, &err);

	if (reader)
		fail_msg("%s: %s: it was taken", name, reason);
	assert_true(err.code < 0);
	if (!strstr(err.message, name) || !strstr(err.message, reason))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err.message, name, reason);
}

static void assert_taken(void)
{
	struct error err;
	struct snapshot_reader *reader = sample_read(&sample, &err);

	if (!reader)
		fail_msg("%s", err.message);
	snapshot_reader_destroy(reader);
}

/* manifest.pb is the last but one: the others come before it. */
static unsigned small_file_count(void)
{
	return sample.count - 1;
}

static void a_whole_snapshot_is_read(void **state)
{
	struct error err;
	struct snapshot_reader *reader = sample_read(&sample, &err);

	(void)state;
	if (!reader)
		fail_msg("%s", err.message);
	assert_int_equal(reader->vcpu_count, SAMPLE_VCPUS);
	assert_int_equal(reader->manifest->n_devices, 3);
	assert_string_equal(reader->config->name, "sample");
	assert_int_equal(reader->devices[1]->worker_state.data[0], 1);
	assert_int_equal(reader->vm->clock->nanoseconds, 123456789);
	assert_true(reader->memory_fds[0] >= 0);
	assert_int_equal(reader->memory_fds[1], -1);
	snapshot_reader_destroy(reader);
}

/* Names of the files that are yet to come; every one that is opened was expected. */
static unsigned expected_count;
static const char *expected_names[64];

static void note_expected(void *opaque, const char *const *names, unsigned count)
{
	(void)opaque;
	assert_int_equal(expected_count, 0);
	assert_true(count <= 64);
	expected_count = count;
	memcpy(expected_names, names, count * sizeof(names[0]));
}

static int open_expected(void *opaque, const char *name, int *fd, struct error *err)
{
	struct snapshot_source source = sample_source(opaque);
	bool found = strcmp(name, "manifest.pb") == 0;

	for (unsigned i = 0; i < expected_count; i++)
		found = found || strcmp(name, expected_names[i]) == 0;
	assert_true(found);
	return source.open_file(source.opaque, name, fd, err);
}

static void every_file_but_the_manifest_is_expected_before_it_is_opened(void **state)
{
	struct snapshot_source source = {open_expected, note_expected, &sample};
	struct error err = ERROR_INIT;
	struct snapshot_reader *reader;

	(void)state;
	expected_count = 0;
	reader = snapshot_reader_read(&source, &err);
	if (!reader)
		fail_msg("%s", err.message);
	assert_int_equal(expected_count, sample.count - 1);
	snapshot_reader_destroy(reader);
}

static void a_file_cut_short_at_any_byte_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < small_file_count(); i++) {
		struct sample_file *file = &sample.files[i];
		size_t whole = file->bytes;

		for (file->bytes = 0; file->bytes < whole; file->bytes++)
			assert_refused(file->name, "");
		file->bytes = whole;
	}
	assert_taken();
}

static void a_file_with_one_bit_flipped_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < small_file_count(); i++) {
		struct sample_file *file = &sample.files[i];

		for (size_t at = 0; at < file->bytes; at++) {
			uint8_t bit = (uint8_t)(1U << (at % 8));

			file->data[at] ^= bit;
			assert_refused(file->name, "");
			file->data[at] ^= bit;
		}
	}
	assert_taken();
}

static void a_file_with_a_byte_too_many_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < small_file_count(); i++) {
		struct sample_file *file = &sample.files[i];

		file->data = realloc(file->data, file->bytes + 1);
		assert_non_null(file->data);
		file->data[file->bytes++] = 0;
		assert_refused(file->name, "");
		file->bytes--;
	}
	assert_taken();
}

static void a_file_that_is_missing_is_named(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sample.count; i++) {
		sample.missing = sample.files[i].name;
		assert_refused(sample.files[i].name, "No such file");
	}
	sample.missing = NULL;
	assert_taken();
}

static void a_directory_without_a_manifest_is_no_snapshot(void **state)
{
	(void)state;
	sample.missing = "manifest.pb";
	assert_refused("manifest.pb", "not a snapshot");
	sample.missing = NULL;
}

static void swap_data(const char *one, const char *other)
{
	struct sample_file *a = sample_find(&sample, one), *b = sample_find(&sample, other);
	uint8_t *data = a->data;
	size_t bytes = a->bytes;

	a->data = b->data;
	a->bytes = b->bytes;
	b->data = data;
	b->bytes = bytes;
}

static void blobs_swapped_between_devices_are_refused(void **state)
{
	(void)state;
	swap_data("devices/root.pb", "devices/rng.pb");
	assert_refused("devices/root.pb", "is not the file that the manifest names");
}

static void the_state_of_another_vcpu_is_refused(void **state)
{
	struct sample_file *file = sample_find(&sample, "vcpu-1.pb");
	size_t bytes = file->bytes - SNAPSHOT_TRAILER_BYTES;
	uint8_t *copy = malloc(bytes);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, file->data, bytes);
	sample_replace(&sample, "vcpu-0.pb", copy, bytes);
	free(copy);
	assert_refused("vcpu-0.pb", "is the state of vCPU 1");
}

/* A checksum finds damage, not intent: whoever writes a snapshot makes them fit. */
static void a_forged_file_is_refused_or_read_but_never_crashes(void **state)
{
	unsigned taken = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < small_file_count() - 1; i++) {
		struct sample_file *file = &sample.files[i];
		size_t bytes = file->bytes - SNAPSHOT_TRAILER_BYTES;
		/* Of the XSAVE area and the like every 13th byte does. */
		size_t step = bytes > 2048 ? 13 : 1;
		uint8_t *copy = malloc(bytes);

		assert_non_null(copy);
		memcpy(copy, file->data, bytes);
		for (size_t at = 0; at < bytes; at += step) {
			struct snapshot_reader *reader;
			struct error err;

			copy[at] ^= (uint8_t)(1U << (at % 8));
			sample_replace(&sample, file->name, copy, bytes);
			copy[at] ^= (uint8_t)(1U << (at % 8));
			reader = sample_read(&sample, &err);
			if (!reader && !strstr(err.message, file->name))
				fail_msg("\"%s\" does not name %s", err.message, file->name);
			taken += reader != NULL;
			refused += reader == NULL;
			snapshot_reader_destroy(reader);
		}
		sample_replace(&sample, file->name, copy, bytes);
		free(copy);
	}
	assert_taken();
	assert_true(taken > 0 && refused > 0);
}

/* A newer version may add fields; this one ignores them. */
static void unknown_fields_are_ignored(void **state)
{
	static const uint8_t unknown[] = {0xca, 0x3e, 0x03, 'n', 'e', 'w'}; /* field 1001 */

	(void)state;
	for (unsigned i = 0; i < small_file_count() - 1; i++) {
		struct sample_file *file = &sample.files[i];
		size_t bytes = file->bytes - SNAPSHOT_TRAILER_BYTES;
		uint8_t *copy = malloc(bytes + sizeof(unknown));

		assert_non_null(copy);
		memcpy(copy, file->data, bytes);
		memcpy(copy + bytes, unknown, sizeof(unknown));
		sample_replace(&sample, file->name, copy, bytes + sizeof(unknown));
		free(copy);
		assert_taken();
	}
}

static void refuse_vm(void (*spoil)(Bulkhead__Config__Vm *config), const char *reason)
{
	struct sample_file *file = sample_find(&sample, "config.pb");
	Bulkhead__Snapshot__ConfigFile *outer = bulkhead__snapshot__config_file__unpack(
		NULL, file->bytes - SNAPSHOT_TRAILER_BYTES, file->data);
	Bulkhead__Config__Vm *config;
	uint8_t packed[4096];
	size_t bytes;

	assert_non_null(outer);
	config = bulkhead__config__vm__unpack(NULL, outer->config.len, outer->config.data);
	assert_non_null(config);
	spoil(config);
	free(outer->config.data);
	outer->config.len = bulkhead__config__vm__get_packed_size(config);
	outer->config.data = malloc(outer->config.len);
	assert_non_null(outer->config.data);
	bulkhead__config__vm__pack(config, outer->config.data);
	bytes = bulkhead__snapshot__config_file__pack(outer, packed);
	sample_replace(&sample, "config.pb", packed, bytes);
	bulkhead__config__vm__free_unpacked(config, NULL);
	bulkhead__snapshot__config_file__free_unpacked(outer, NULL);
	assert_refused("config.pb", reason);
}

static void spoil_cpus(Bulkhead__Config__Vm *config)
{
	config->cpus->boot = config->cpus->max = 3;
}

static void spoil_memory(Bulkhead__Config__Vm *config)
{
	config->memory->size_bytes = SAMPLE_MEMORY_BYTES * 2;
}

static void spoil_region_count(Bulkhead__Config__Vm *config)
{
	config->memory->size_bytes = 4ULL << 30;
}

static void spoil_part(Bulkhead__Config__Vm *config)
{
	bulkhead__config__memory__free_unpacked(config->memory, NULL);
	config->memory = NULL;
}

static void spoil_disk_id(Bulkhead__Config__Vm *config)
{
	free(config->disks[0]->id);
	config->disks[0]->id = strdup("../root");
}

static void spoil_serial_mode(Bulkhead__Config__Vm *config)
{
	config->serial->mode = (Bulkhead__Config__SerialMode)77;
}

static void a_configuration_that_does_not_fit_the_manifest_is_refused(void **state)
{
	(void)state;
	refuse_vm(spoil_cpus, "has 3 vCPUs, the manifest lists 2");
	refuse_vm(spoil_memory, "");
	refuse_vm(spoil_region_count, "");
	refuse_vm(spoil_part, "");
	refuse_vm(spoil_disk_id, "");
	refuse_vm(spoil_serial_mode, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_snapshot_is_read),
		TEST(every_file_but_the_manifest_is_expected_before_it_is_opened),
		TEST(a_file_cut_short_at_any_byte_is_refused),
		TEST(a_file_with_one_bit_flipped_is_refused),
		TEST(a_file_with_a_byte_too_many_is_refused),
		TEST(a_file_that_is_missing_is_named),
		TEST(a_directory_without_a_manifest_is_no_snapshot),
		TEST(blobs_swapped_between_devices_are_refused),
		TEST(the_state_of_another_vcpu_is_refused),
		TEST(a_forged_file_is_refused_or_read_but_never_crashes),
		TEST(unknown_fields_are_ignored),
		TEST(a_configuration_that_does_not_fit_the_manifest_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
