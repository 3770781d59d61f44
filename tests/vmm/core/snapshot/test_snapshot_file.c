/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/snapshot.pb-c.h"
#include "vmm/core/snapshot/snapshot_file.h"

static void make_sealed(uint8_t **data, size_t *bytes)
{
	struct error err = ERROR_INIT;

	*bytes = 200;
	*data = malloc(*bytes);
	assert_non_null(*data);
	for (size_t i = 0; i < *bytes; i++)
		(*data)[i] = (uint8_t)(i * 7);
	assert_int_equal(snapshot_file_seal(data, bytes, &err), 0);
}

static void a_sealed_file_is_verified(void **state)
{
	struct error err = ERROR_INIT;
	size_t bytes, message_bytes = 0;
	uint8_t *data;

	(void)state;
	make_sealed(&data, &bytes);
	assert_int_equal(bytes, 200 + SNAPSHOT_TRAILER_BYTES);
	assert_int_equal(snapshot_file_verify(data, bytes, &message_bytes, &err), 0);
	assert_int_equal(message_bytes, 200);
	free(data);
}

static void an_empty_message_is_sealed_and_verified(void **state)
{
	struct error err = ERROR_INIT;
	size_t bytes = 0, message_bytes = 1;
	uint8_t *data = NULL;

	(void)state;
	assert_int_equal(snapshot_file_seal(&data, &bytes, &err), 0);
	assert_int_equal(snapshot_file_verify(data, bytes, &message_bytes, &err), 0);
	assert_int_equal(message_bytes, 0);
	free(data);
}

static void a_sealed_file_cut_short_anywhere_is_refused(void **state)
{
	size_t bytes, message_bytes;
	uint8_t *data;

	(void)state;
	make_sealed(&data, &bytes);
	for (size_t length = 0; length < bytes; length++) {
		/* Of its own size, so that a read behind the end is found. */
		uint8_t *copy = malloc(length ? length : 1);
		struct error err = ERROR_INIT;

		assert_non_null(copy);
		memcpy(copy, data, length);
		assert_int_equal(snapshot_file_verify(copy, length, &message_bytes, &err), -EINVAL);
		assert_true(err.message[0]);
		free(copy);
	}
	free(data);
}

static void every_flipped_bit_is_found(void **state)
{
	struct error err = ERROR_INIT;
	size_t bytes, message_bytes;
	uint8_t *data;

	(void)state;
	make_sealed(&data, &bytes);
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		assert_int_equal(snapshot_file_verify(data, bytes, &message_bytes, &err), -EINVAL);
		data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
	assert_int_equal(snapshot_file_verify(data, bytes, &message_bytes, &err), 0);
	free(data);
}

static void a_packed_message_carries_its_checksum_as_a_field(void **state)
{
	Bulkhead__Snapshot__ConfigFile message = BULKHEAD__SNAPSHOT__CONFIG_FILE__INIT;
	Bulkhead__Snapshot__ConfigFile *read;
	uint8_t config[] = {1, 2, 3}, *data;
	struct error err = ERROR_INIT;
	size_t bytes;

	(void)state;
	message.config.data = config;
	message.config.len = sizeof(config);
	assert_int_equal(snapshot_file_pack(&message.base, &data, &bytes, &err), 0);
	/* Any protobuf tool can read the file, trailer and all. */
	read = bulkhead__snapshot__config_file__unpack(NULL, bytes, data);
	assert_non_null(read);
	assert_memory_equal(read->config.data, config, sizeof(config));
	assert_int_equal(read->checksum.len, SNAPSHOT_CHECKSUM_BYTES);
	assert_memory_equal(read->checksum.data, data + bytes - SNAPSHOT_CHECKSUM_BYTES,
			    SNAPSHOT_CHECKSUM_BYTES);
	bulkhead__snapshot__config_file__free_unpacked(read, NULL);
	free(data);
}

static void the_checksum_is_xxh3_in_canonical_form(void **state)
{
	/* XXH3_128bits of no bytes, as published with the algorithm. */
	static const uint8_t expected[SNAPSHOT_CHECKSUM_BYTES] = {
		0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
		0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
	uint8_t checksum[SNAPSHOT_CHECKSUM_BYTES];

	(void)state;
	snapshot_checksum("", 0, checksum);
	assert_memory_equal(checksum, expected, sizeof(expected));
}

static int make_file(size_t bytes)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void what_was_written_is_read(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t *data, *read;
	size_t bytes, read_bytes;
	int fd = make_file(0);

	(void)state;
	make_sealed(&data, &bytes);
	assert_int_equal(snapshot_file_write(fd, data, bytes, &err), 0);
	assert_int_equal(snapshot_file_read(fd, bytes, &read, &read_bytes, &err), 0);
	assert_int_equal(read_bytes, bytes);
	assert_memory_equal(read, data, bytes);
	free(read);
	free(data);
	close(fd);
}

static void a_file_larger_than_allowed_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t *data;
	size_t bytes;
	int fd = make_file(101);

	(void)state;
	assert_int_equal(snapshot_file_read(fd, 100, &data, &bytes, &err), -EFBIG);
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(snapshot_file_read(fd, 100, &data, &bytes, &err), -EFBIG);
	close(fd);
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t *data;
	size_t bytes;
	int fds[2], directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(snapshot_file_read(fds[0], 100, &data, &bytes, &err), -EINVAL);
	assert_non_null(strstr(err.message, "is not a regular file"));
	assert_int_equal(snapshot_file_read(directory, 100, &data, &bytes, &err), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	close(directory);
}

static void a_failed_write_is_reported(void **state)
{
	struct error err = ERROR_INIT;
	const uint8_t byte = 1;
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(snapshot_file_write(fd, &byte, 1, &err), -ENOSPC);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_file_is_verified),
		cmocka_unit_test(an_empty_message_is_sealed_and_verified),
		cmocka_unit_test(a_sealed_file_cut_short_anywhere_is_refused),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(a_packed_message_carries_its_checksum_as_a_field),
		cmocka_unit_test(the_checksum_is_xxh3_in_canonical_form),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(a_file_larger_than_allowed_is_refused),
		cmocka_unit_test(what_is_not_a_regular_file_is_refused),
		cmocka_unit_test(a_failed_write_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
