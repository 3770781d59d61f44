/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/core/snapshot/huge_pages.h"
#include "vmm/core/snapshot/memory_file.h"
#include "vmm/core/snapshot/snapshot_file.h"

#define CHUNK	     MEMORY_FILE_CHUNK_BYTES
#define CHUNKS	     64
#define REGION_BYTES ((uint64_t)CHUNKS * CHUNK)
#define DATA_CHUNKS  4

/* Chunks that the region under test has data in: two neighbours, one alone, the last. */
static const unsigned data_chunks[DATA_CHUNKS] = {3, 4, 17, CHUNKS - 1};

struct memory_test {
	struct guest_memory_region region;
	struct memory_progress progress;
	struct memory_index index;
	struct error err;
	int fd; /* of the memory file: on a real file system, which tells what it stores */
};

static void make_region(struct guest_memory_region *region, uint64_t bytes, uint64_t file_offset)
{
	*region = (struct guest_memory_region){.size_bytes = bytes, .file_offset = file_offset};
	region->fd = memfd_create("memory", MFD_CLOEXEC);
	assert_true(region->fd >= 0);
	assert_int_equal(ftruncate(region->fd, (off_t)(file_offset + bytes)), 0);
	region->hva = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
			   (off_t)file_offset);
	assert_ptr_not_equal(region->hva, MAP_FAILED);
}

static void free_region(struct guest_memory_region *region)
{
	munmap(region->hva, region->size_bytes);
	close(region->fd);
}

static int make_file(void)
{
	char name[] = "/tmp/bulkhead-memory-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	return fd;
}

static int setup(void **state)
{
	struct memory_test *test = calloc(1, sizeof(*test));

	assert_non_null(test);
	make_region(&test->region, REGION_BYTES, 0);
	for (unsigned i = 0; i < DATA_CHUNKS; i++)
		test->region.hva[data_chunks[i] * CHUNK + i] = (uint8_t)(i + 1);
	test->fd = make_file();
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct memory_test *test = *state;

	memory_index_destroy(&test->index);
	free_region(&test->region);
	close(test->fd);
	huge_pages_give_back();
	free(test);
	return 0;
}

static void write_it(struct memory_test *test)
{
	if (memory_file_write(&test->region, test->fd, &test->index, &test->progress, &test->err) !=
	    0)
		fail_msg("%s", test->err.message);
}

static int verify(struct memory_test *test)
{
	struct memory_progress progress = {0};

	return memory_file_verify(test->fd, REGION_BYTES, &test->index, &progress, &test->err);
}

static uint64_t stored_bytes(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static void memory_comes_back_as_it_was(void **state)
{
	struct memory_test *test = *state;
	struct guest_memory_region fresh;

	write_it(test);
	make_region(&fresh, REGION_BYTES, 0);
	assert_int_equal(
		memory_file_read(&fresh, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_memory_equal(fresh.hva, test->region.hva, REGION_BYTES);
	free_region(&fresh);
}

static void only_chunks_with_data_are_stored(void **state)
{
	struct memory_test *test = *state;
	struct stat status;

	write_it(test);
	for (unsigned chunk = 0; chunk < CHUNKS; chunk++)
		assert_int_equal(memory_index_has(&test->index, chunk),
				 test->region.hva[chunk * CHUNK] || chunk == data_chunks[1] ||
					 chunk == data_chunks[2] || chunk == data_chunks[3]);
	assert_int_equal(test->index.checksums_bytes, DATA_CHUNKS * SNAPSHOT_CHECKSUM_BYTES);
	assert_int_equal(fstat(test->fd, &status), 0);
	assert_int_equal(status.st_size, REGION_BYTES);
	assert_true(stored_bytes(test->fd) >= DATA_CHUNKS * CHUNK);
	assert_true(stored_bytes(test->fd) <= (DATA_CHUNKS + 1) * CHUNK);
	assert_int_equal(atomic_load(&test->progress.done_bytes), REGION_BYTES);
	assert_int_equal(atomic_load(&test->progress.stored_bytes), DATA_CHUNKS * CHUNK);
}

static void chunks_that_were_cleared_again_are_holes(void **state)
{
	struct memory_test *test = *state;

	/* They have pages, all zeros. */
	memset(test->region.hva + 8 * CHUNK, 0, 8 * CHUNK);
	test->region.hva[17 * CHUNK + 2] = 0;
	write_it(test);
	assert_false(memory_index_has(&test->index, 9));
	assert_false(memory_index_has(&test->index, 17));
	assert_int_equal(test->index.checksums_bytes, 3 * SNAPSHOT_CHECKSUM_BYTES);
}

static void a_single_byte_anywhere_in_a_chunk_makes_it_data(void **state)
{
	static const unsigned places[] = {0,	1,    7,	 8,	    9,
					  4095, 4096, CHUNK - 9, CHUNK - 8, CHUNK - 1};
	struct memory_test *test = *state;

	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
		test->region.hva[(20 + i) * CHUNK + places[i]] = 0x80;
	write_it(test);
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
		assert_true(memory_index_has(&test->index, 20 + i));
}

static void untouched_memory_stays_untouched(void **state)
{
	struct memory_test *test = *state;
	uint64_t before = stored_bytes(test->region.fd);

	write_it(test);
	assert_int_equal(stored_bytes(test->region.fd), before);
}

static void a_part_of_a_backing_file_is_a_region(void **state)
{
	struct memory_test *test = *state;
	struct guest_memory_region part, fresh;
	uint8_t stranger = 0xff;

	make_region(&part, 16 * CHUNK, 8 * CHUNK);
	part.hva[0] = 1;
	part.hva[16 * CHUNK - 1] = 2;
	/* What lies before and behind it belongs to another region. */
	assert_int_equal(pwrite(part.fd, &stranger, 1, 8 * CHUNK - 1), 1);
	assert_int_equal(pwrite(part.fd, &stranger, 1, 24 * CHUNK), 1);
	assert_int_equal(
		memory_file_write(&part, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_int_equal(test->index.checksums_bytes, 2 * SNAPSHOT_CHECKSUM_BYTES);
	make_region(&fresh, 16 * CHUNK, 0);
	assert_int_equal(
		memory_file_read(&fresh, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_memory_equal(fresh.hva, part.hva, 16 * CHUNK);
	free_region(&fresh);
	free_region(&part);
}

static void what_a_backing_file_held_before_is_gone_after_a_restore(void **state)
{
	struct memory_test *test = *state;
	struct guest_memory_region used;
	uint8_t neighbour = 0x77;

	write_it(test);
	make_region(&used, REGION_BYTES, 4 * CHUNK);
	memset(used.hva, 0xee, REGION_BYTES);
	assert_int_equal(pwrite(used.fd, &neighbour, 1, 4 * CHUNK - 1), 1);
	assert_int_equal(
		memory_file_read(&used, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_memory_equal(used.hva, test->region.hva, REGION_BYTES);
	assert_int_equal(pread(used.fd, &neighbour, 1, 4 * CHUNK - 1), 1);
	assert_int_equal(neighbour, 0x77);
	free_region(&used);
}

static void writing_is_cancelled(void **state)
{
	struct memory_test *test = *state;

	atomic_store(&test->progress.cancelled, true);
	assert_int_equal(memory_file_write(&test->region, test->fd, &test->index, &test->progress,
					   &test->err),
			 -ECANCELED);
}

static void reading_is_cancelled(void **state)
{
	struct memory_test *test = *state;

	write_it(test);
	atomic_store(&test->progress.cancelled, true);
	assert_int_equal(memory_file_read(&test->region, test->fd, &test->index, &test->progress,
					  &test->err),
			 -ECANCELED);
}

static void a_damaged_byte_is_named_by_its_chunk(void **state)
{
	struct memory_test *test = *state;
	uint8_t byte;
	char place[32];

	write_it(test);
	(void)snprintf(place, sizeof(place), "damaged at %u:", 17 * CHUNK);
	assert_int_equal(pread(test->fd, &byte, 1, 17 * CHUNK + 777), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(test->fd, &byte, 1, 17 * CHUNK + 777), 1);
	assert_int_equal(verify(test), -EINVAL);
	assert_non_null(strstr(test->err.message, place));
	byte ^= 0x10;
	assert_int_equal(pwrite(test->fd, &byte, 1, 17 * CHUNK + 777), 1);
	assert_int_equal(verify(test), 0);
}

static void data_where_a_hole_should_be_is_not_used(void **state)
{
	struct memory_test *test = *state;
	struct guest_memory_region fresh;
	uint8_t byte = 1;

	write_it(test);
	assert_int_equal(pwrite(test->fd, &byte, 1, 30 * CHUNK), 1);
	make_region(&fresh, REGION_BYTES, 0);
	assert_int_equal(
		memory_file_read(&fresh, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_memory_equal(fresh.hva, test->region.hva, REGION_BYTES);
	free_region(&fresh);
}

static void a_chunk_that_became_a_hole_is_damage(void **state)
{
	struct memory_test *test = *state;

	write_it(test);
	assert_int_equal(
		fallocate(test->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * CHUNK, CHUNK),
		0);
	assert_int_equal(verify(test), -EINVAL);
}

static void a_file_of_another_size_is_refused(void **state)
{
	static const int64_t changes[] = {-1, 1, -4096, 4096, -(int64_t)REGION_BYTES};
	struct memory_test *test = *state;

	write_it(test);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		assert_int_equal(ftruncate(test->fd, (off_t)((int64_t)REGION_BYTES + changes[i])),
				 0);
		assert_int_equal(verify(test), -EINVAL);
		assert_non_null(strstr(test->err.message, "the manifest says"));
	}
}

static void what_is_not_a_file_is_refused(void **state)
{
	struct memory_test *test = *state;
	int fds[2];

	write_it(test);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(
		memory_file_verify(fds[0], REGION_BYTES, &test->index, &test->progress, &test->err),
		-EINVAL);
	close(fds[0]);
	close(fds[1]);
}

static void a_full_disk_is_reported(void **state)
{
	struct memory_test *test = *state;
	int fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* A sealed memfd takes no more than its size. */
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(
		memory_file_write(&test->region, fd, &test->index, &test->progress, &test->err),
		-EPERM);
	assert_non_null(strstr(test->err.message, "cannot be given its size"));
	close(fd);
}

static void huge_pages_that_the_guest_never_touched_are_not_made(void **state)
{
	const uint64_t bytes = 16U << 20;
	struct memory_test *test = *state;
	struct guest_memory_region huge = {.size_bytes = bytes};
	uint64_t stored;

	if (!huge_pages_reserve(8))
		skip();
	huge.fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	assert_true(huge.fd >= 0);
	assert_int_equal(ftruncate(huge.fd, (off_t)bytes), 0);
	huge.hva = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, huge.fd, 0);
	assert_ptr_not_equal(huge.hva, MAP_FAILED);
	huge.hva[5 << 20] = 1;
	stored = stored_bytes(huge.fd);
	assert_int_equal(
		memory_file_write(&huge, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_int_equal(stored_bytes(huge.fd), stored);
	assert_int_equal(test->index.checksums_bytes, SNAPSHOT_CHECKSUM_BYTES);
	huge.hva[0] = 9; /* memory that was used before a restore */
	assert_int_equal(
		memory_file_read(&huge, test->fd, &test->index, &test->progress, &test->err), 0);
	assert_int_equal(huge.hva[5 << 20], 1);
	assert_int_equal(huge.hva[0], 0);
	free_region(&huge);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_comes_back_as_it_was),
		TEST(only_chunks_with_data_are_stored),
		TEST(chunks_that_were_cleared_again_are_holes),
		TEST(a_single_byte_anywhere_in_a_chunk_makes_it_data),
		TEST(untouched_memory_stays_untouched),
		TEST(a_part_of_a_backing_file_is_a_region),
		TEST(what_a_backing_file_held_before_is_gone_after_a_restore),
		TEST(writing_is_cancelled),
		TEST(reading_is_cancelled),
		TEST(a_damaged_byte_is_named_by_its_chunk),
		TEST(data_where_a_hole_should_be_is_not_used),
		TEST(a_chunk_that_became_a_hole_is_damage),
		TEST(a_file_of_another_size_is_refused),
		TEST(what_is_not_a_file_is_refused),
		TEST(a_full_disk_is_reported),
		TEST(huge_pages_that_the_guest_never_touched_are_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
