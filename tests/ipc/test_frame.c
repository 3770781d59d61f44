/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/frame.h"

static struct frame_header valid(enum frame_kind kind, uint32_t id)
{
	struct frame_header header;

	frame_header_init(&header, kind, 4, id, 0, 0, 0);
	return header;
}

static int check(const struct frame_header *header, unsigned fds)
{
	struct frame_header copy;
	struct error err = ERROR_INIT;

	return frame_check(header, sizeof(*header), fds, &copy, &err);
}

static void a_header_made_here_is_accepted_there(void **state)
{
	struct frame_header event = valid(FRAME_EVENT, 0);
	struct frame_header request = valid(FRAME_REQUEST, 1);
	struct frame_header reply = valid(FRAME_REPLY, UINT32_MAX);

	(void)state;
	assert_int_equal(check(&event, 0), 0);
	assert_int_equal(check(&request, 0), 0);
	assert_int_equal(check(&reply, 0), 0);
}

static void every_length_below_a_header_is_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);
	struct frame_header copy;

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(header); bytes++)
		assert_int_equal(frame_check(&header, bytes, 0, &copy, NULL), -EPROTO);
}

static void a_payload_length_that_is_not_the_packets_is_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	header.payload_bytes = 1;
	assert_int_equal(check(&header, 0), -EPROTO);
	header.payload_bytes = UINT32_MAX;
	assert_int_equal(check(&header, 0), -EPROTO);
}

static void another_version_is_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	header.version = FRAME_VERSION + 1;
	assert_int_equal(check(&header, 0), -EPROTO);
}

static void reserved_bits_are_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	header.reserved = 1;
	assert_int_equal(check(&header, 0), -EPROTO);
}

static void unknown_kinds_are_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	header.kind = 0;
	assert_int_equal(check(&header, 0), -EPROTO);
	header.kind = FRAME_EVENT + 1;
	assert_int_equal(check(&header, 0), -EPROTO);
}

static void type_zero_is_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	header.type = 0;
	assert_int_equal(check(&header, 0), -EPROTO);
}

static void only_events_have_no_id(void **state)
{
	struct frame_header event = valid(FRAME_EVENT, 1);
	struct frame_header request = valid(FRAME_REQUEST, 0);

	(void)state;
	assert_int_equal(check(&event, 0), -EPROTO);
	assert_int_equal(check(&request, 0), -EPROTO);
}

static void a_wrong_count_of_descriptors_is_refused(void **state)
{
	struct frame_header header = valid(FRAME_REQUEST, 1);

	(void)state;
	assert_int_equal(check(&header, 1), -EPROTO);
	header.fd_count = 1;
	assert_int_equal(check(&header, 0), -EPROTO);
	assert_int_equal(check(&header, 1), 0);
}

static void error_codes_belong_in_replies(void **state)
{
	struct frame_header request = valid(FRAME_REQUEST, 1);
	struct frame_header reply = valid(FRAME_REPLY, 1);

	(void)state;
	request.error_code = -EIO;
	reply.error_code = -EIO;
	assert_int_equal(check(&request, 0), -EPROTO);
	assert_int_equal(check(&reply, 0), 0);
}

static void error_codes_that_are_no_errno_are_refused(void **state)
{
	static const int32_t codes[] = {1, EIO, -FRAME_MAX_ERRNO - 1, INT32_MIN, INT32_MAX};
	struct frame_header reply = valid(FRAME_REPLY, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		reply.error_code = codes[i];
		assert_int_equal(check(&reply, 0), -EPROTO);
	}
}

static void an_error_reply_carries_no_descriptors(void **state)
{
	struct frame_header reply = valid(FRAME_REPLY, 1);

	(void)state;
	reply.error_code = -EIO;
	reply.fd_count = 1;
	assert_int_equal(check(&reply, 1), -EPROTO);
}

static void an_error_text_fits_an_error(void **state)
{
	struct {
		struct frame_header header;
		char text[ERROR_MESSAGE_SIZE];
	} packet = {.header = valid(FRAME_REPLY, 1)};
	struct frame_header copy;

	(void)state;
	packet.header.error_code = -EIO;
	packet.header.payload_bytes = ERROR_MESSAGE_SIZE;
	assert_int_equal(frame_check(&packet, sizeof(packet), 0, &copy, NULL), -EPROTO);
	packet.header.payload_bytes = ERROR_MESSAGE_SIZE - 1;
	assert_int_equal(frame_check(&packet, sizeof(packet) - 1, 0, &copy, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_made_here_is_accepted_there),
		cmocka_unit_test(every_length_below_a_header_is_refused),
		cmocka_unit_test(a_payload_length_that_is_not_the_packets_is_refused),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(reserved_bits_are_refused),
		cmocka_unit_test(unknown_kinds_are_refused),
		cmocka_unit_test(type_zero_is_refused),
		cmocka_unit_test(only_events_have_no_id),
		cmocka_unit_test(a_wrong_count_of_descriptors_is_refused),
		cmocka_unit_test(error_codes_belong_in_replies),
		cmocka_unit_test(error_codes_that_are_no_errno_are_refused),
		cmocka_unit_test(an_error_reply_carries_no_descriptors),
		cmocka_unit_test(an_error_text_fits_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
