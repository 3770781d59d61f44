/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "devworkers/blk/request.h"

#define CAPACITY (1024 * 512)

static const struct request_limits disk = {
	.capacity_bytes = CAPACITY, .discard = true, .write_zeroes = true};

/* A chain of one header, data segments and a status byte, in ordinary memory. */
struct chain {
	struct virtqueue_chain chain;
	struct iovec segments[16];
	struct virtio_blk_outhdr header;
	uint8_t data[4096];
	uint8_t status;
};

static void add(struct chain *c, bool writable, void *base, size_t length)
{
	struct virtqueue_chain *chain = &c->chain;
	unsigned count = (unsigned)chain->readable_count + chain->writable_count;

	c->segments[count] = (struct iovec){base, length};
	if (writable) {
		chain->writable_count++;
		chain->writable_bytes += length;
	} else {
		chain->readable_count++;
		chain->readable_bytes += length;
	}
	chain->readable = c->segments;
	chain->writable = c->segments + chain->readable_count;
}

static void begin(struct chain *c, uint32_t type, uint64_t sector)
{
	memset(c, 0, sizeof(*c));
	c->chain.segments = c->segments;
	c->header.type = type;
	c->header.sector = sector;
	add(c, false, &c->header, sizeof(c->header));
}

static int parse_transfer(struct chain *c, struct request *request, uint32_t type, uint64_t sector,
			  size_t bytes, const struct request_limits *limits)
{
	begin(c, type, sector);
	if (bytes > 0)
		add(c, type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID, c->data, bytes);
	add(c, true, &c->status, 1);
	return request_parse(request, &c->chain, limits);
}

static int parse_ranges(struct chain *c, struct request *request, uint32_t type,
			const struct virtio_blk_discard_write_zeroes *ranges, size_t bytes)
{
	begin(c, type, 0);
	memcpy(c->data, ranges, bytes);
	add(c, false, c->data, bytes);
	add(c, true, &c->status, 1);
	return request_parse(request, &c->chain, &disk);
}

static void read_hands_the_buffers_to_the_kernel(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 3, 1024, &disk),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(request.kind, REQUEST_READ);
	assert_int_equal(request.offset_bytes, 3 * 512);
	assert_int_equal(request.length_bytes, 1024);
	assert_int_equal(request.segment_count, 1);
	assert_ptr_equal(request.segments[0].iov_base, c.data);
	assert_ptr_equal(request.status, &c.status);
}

static void header_may_be_split_and_joined_with_data(void **state)
{
	struct chain c;
	struct request request;
	uint8_t joined[8 + 512];

	(void)state;
	memset(&c, 0, sizeof(c));
	c.header.type = VIRTIO_BLK_T_OUT;
	c.header.sector = 7;
	memcpy(joined, (uint8_t *)&c.header + 8, 8);
	add(&c, false, &c.header, 8);
	add(&c, false, joined, sizeof(joined));
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &disk), VIRTIO_BLK_S_OK);
	assert_int_equal(request.kind, REQUEST_WRITE);
	assert_int_equal(request.offset_bytes, 7 * 512);
	assert_int_equal(request.segment_count, 1);
	assert_ptr_equal(request.segments[0].iov_base, joined + 8);
	assert_int_equal(request.segments[0].iov_len, 512);
}

static void status_may_share_the_last_data_buffer(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	begin(&c, VIRTIO_BLK_T_IN, 0);
	add(&c, true, c.data, 513);
	assert_int_equal(request_parse(&request, &c.chain, &disk), VIRTIO_BLK_S_OK);
	assert_ptr_equal(request.status, c.data + 512);
	assert_int_equal(request.length_bytes, 512);
	assert_int_equal(request.segments[0].iov_len, 512);
}

static void chain_without_writable_byte_cannot_be_answered(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	begin(&c, VIRTIO_BLK_T_OUT, 0);
	add(&c, false, c.data, 512);
	assert_int_equal(request_parse(&request, &c.chain, &disk), -EPROTO);
}

static void short_header_is_an_io_error(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	memset(&c, 0, sizeof(c));
	add(&c, false, &c.header, 15);
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &disk), VIRTIO_BLK_S_IOERR);
	assert_ptr_equal(request.status, &c.status);
}

static void missing_header_is_an_io_error(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	memset(&c, 0, sizeof(c));
	add(&c, true, c.data, 512);
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &disk), VIRTIO_BLK_S_IOERR);
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = {2,  3,	 5,  7,	 9,  10,	  12,	      14,
					 15, 16, 18, 20, 26, 0x80000000U, 0xffffffffU};
	struct chain c;
	struct request request;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(parse_transfer(&c, &request, types[i], 0, 512, &disk),
				 VIRTIO_BLK_S_UNSUPP);
}

static void length_that_is_no_multiple_of_a_sector_is_an_io_error(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 0, 511, &disk),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_OUT, 0, 513, &disk),
			 VIRTIO_BLK_S_IOERR);
}

static void last_sector_is_inside_and_the_next_is_not(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 1023, 512, &disk),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 1024, 512, &disk),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_OUT, 1023, 1024, &disk),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 1024, 0, &disk),
			 VIRTIO_BLK_S_OK);
}

static void sector_that_overflows_bytes_is_outside(void **state)
{
	static const uint64_t sectors[] = {UINT64_MAX, UINT64_MAX / 512, UINT64_MAX / 512 + 1,
					   UINT64_C(1) << 55, UINT64_C(1) << 63};
	struct chain c;
	struct request request;

	(void)state;
	for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		assert_int_equal(
			parse_transfer(&c, &request, VIRTIO_BLK_T_IN, sectors[i], 512, &disk),
			VIRTIO_BLK_S_IOERR);
		assert_int_equal(
			parse_transfer(&c, &request, VIRTIO_BLK_T_OUT, sectors[i], 512, &disk),
			VIRTIO_BLK_S_IOERR);
	}
}

static void write_to_a_read_only_disk_is_an_io_error(void **state)
{
	const struct request_limits limits = {.capacity_bytes = CAPACITY, .read_only = true};
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_OUT, 0, 512, &limits),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_IN, 0, 512, &limits),
			 VIRTIO_BLK_S_OK);
}

static void id_needs_twenty_bytes(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_GET_ID, 0, 20, &disk),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(request.kind, REQUEST_GET_ID);
	assert_int_equal(parse_transfer(&c, &request, VIRTIO_BLK_T_GET_ID, 0, 19, &disk),
			 VIRTIO_BLK_S_IOERR);
}

static void discard_ranges_are_copied(void **state)
{
	const struct virtio_blk_discard_write_zeroes ranges[] = {{0, 8, 0}, {8, 1016, 0}};
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, ranges, sizeof(ranges)),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(request.kind, REQUEST_DISCARD);
	assert_int_equal(request.range_count, 2);
	assert_int_equal(request.ranges[1].offset_bytes, 8 * 512);
	assert_int_equal(request.ranges[1].length_bytes, 1016 * 512);
	memset(c.data, 0xff, sizeof(c.data));
	assert_int_equal(request.ranges[1].length_bytes, 1016 * 512);
}

static void discard_with_any_flag_is_unsupported(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		const struct virtio_blk_discard_write_zeroes range = {0, 8, 1U << bit};

		assert_int_equal(
			parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, &range, sizeof(range)),
			VIRTIO_BLK_S_UNSUPP);
	}
}

static void write_zeroes_knows_only_unmap(void **state)
{
	struct chain c;
	struct request request;

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		const struct virtio_blk_discard_write_zeroes range = {0, 8, 1U << bit};

		assert_int_equal(parse_ranges(&c, &request, VIRTIO_BLK_T_WRITE_ZEROES, &range,
					      sizeof(range)),
				 bit == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP);
	}
}

static void unknown_flag_outweighs_an_earlier_bad_range(void **state)
{
	const struct virtio_blk_discard_write_zeroes ranges[] = {{5000, 8, 0}, {0, 8, 2}};
	struct chain c;
	struct request request;

	(void)state;
	assert_int_equal(
		parse_ranges(&c, &request, VIRTIO_BLK_T_WRITE_ZEROES, ranges, sizeof(ranges)),
		VIRTIO_BLK_S_UNSUPP);
}

static void ranges_outside_or_too_long_are_io_errors(void **state)
{
	const struct virtio_blk_discard_write_zeroes bad[] = {{1024, 1, 0},
							      {1023, 2, 0},
							      {UINT64_MAX, 1, 0},
							      {UINT64_C(1) << 55, 1, 0},
							      {0, UINT32_MAX, 0}};
	const struct request_limits huge = {.capacity_bytes = UINT64_C(1) << 50, .discard = true};
	struct chain c;
	struct request request;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, &bad[i], sizeof(bad[i])),
			VIRTIO_BLK_S_IOERR);
	begin(&c, VIRTIO_BLK_T_DISCARD, 0);
	((struct virtio_blk_discard_write_zeroes *)c.data)->num_sectors =
		REQUEST_MAX_DISCARD_SECTORS + 1;
	add(&c, false, c.data, 16);
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &huge), VIRTIO_BLK_S_IOERR);
}

static void ranges_that_are_cut_off_missing_or_too_many_are_io_errors(void **state)
{
	struct virtio_blk_discard_write_zeroes ranges[REQUEST_MAX_RANGES + 1];
	struct chain c;
	struct request request;

	(void)state;
	memset(ranges, 0, sizeof(ranges));
	assert_int_equal(parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, ranges, 15),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, ranges, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, ranges, sizeof(ranges)),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(
		parse_ranges(&c, &request, VIRTIO_BLK_T_DISCARD, ranges, sizeof(ranges) - 16),
		VIRTIO_BLK_S_OK);
}

static void discard_that_was_not_negotiated_is_unsupported(void **state)
{
	const struct request_limits limits = {.capacity_bytes = CAPACITY};
	struct chain c;
	struct request request;

	(void)state;
	begin(&c, VIRTIO_BLK_T_DISCARD, 0);
	add(&c, false, c.data, 16);
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &limits), VIRTIO_BLK_S_UNSUPP);
	begin(&c, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	add(&c, false, c.data, 16);
	add(&c, true, &c.status, 1);
	assert_int_equal(request_parse(&request, &c.chain, &limits), VIRTIO_BLK_S_UNSUPP);
}

static void advancing_skips_whole_segments_and_cuts_one(void **state)
{
	struct iovec list[] = {{(void *)0x1000, 16}, {(void *)0x2000, 16}, {(void *)0x3000, 16}};
	struct iovec *segments = list;
	unsigned count = 3;

	(void)state;
	request_segments_advance(&segments, &count, 20);
	assert_int_equal(count, 2);
	assert_ptr_equal(segments[0].iov_base, (void *)0x2004);
	assert_int_equal(segments[0].iov_len, 12);
	request_segments_advance(&segments, &count, 1000);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_hands_the_buffers_to_the_kernel),
		cmocka_unit_test(header_may_be_split_and_joined_with_data),
		cmocka_unit_test(status_may_share_the_last_data_buffer),
		cmocka_unit_test(chain_without_writable_byte_cannot_be_answered),
		cmocka_unit_test(short_header_is_an_io_error),
		cmocka_unit_test(missing_header_is_an_io_error),
		cmocka_unit_test(unknown_types_are_unsupported),
		cmocka_unit_test(length_that_is_no_multiple_of_a_sector_is_an_io_error),
		cmocka_unit_test(last_sector_is_inside_and_the_next_is_not),
		cmocka_unit_test(sector_that_overflows_bytes_is_outside),
		cmocka_unit_test(write_to_a_read_only_disk_is_an_io_error),
		cmocka_unit_test(id_needs_twenty_bytes),
		cmocka_unit_test(discard_ranges_are_copied),
		cmocka_unit_test(discard_with_any_flag_is_unsupported),
		cmocka_unit_test(write_zeroes_knows_only_unmap),
		cmocka_unit_test(unknown_flag_outweighs_an_earlier_bad_range),
		cmocka_unit_test(ranges_outside_or_too_long_are_io_errors),
		cmocka_unit_test(ranges_that_are_cut_off_missing_or_too_many_are_io_errors),
		cmocka_unit_test(discard_that_was_not_negotiated_is_unsupported),
		cmocka_unit_test(advancing_skips_whole_segments_and_cuts_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
