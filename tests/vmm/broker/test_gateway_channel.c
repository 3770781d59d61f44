/* SPDX-License-Identifier: Apache-2.0 */
/* Who may name files after the configuration is sealed: the gateway, and the core only for a
 * restore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "proto/broker.pb-c.h"
#include "vmm/broker/broker.h"

#define DECLARE BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_DECLARE
#define SPAWN	BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_SPAWN

/* Both ends in one process: ours is the gateway's, or the core's. */
struct fixture {
	struct broker *broker;
	struct channel *gateway, *core;
	bool answered, closed;
	int result;
};

static void on_closed(void *owner, const struct error *err)
{
	struct fixture *fixture = owner;

	(void)err;
	fixture->closed = true;
}

static const struct channel_row rows[] = {
	{.type = DECLARE, .kind = FRAME_REPLY, .name = "declare"},
	{.type = SPAWN,
	 .kind = FRAME_REPLY,
	 .name = "spawn",
	 .descriptor = &bulkhead__broker__spawned__descriptor},
};
static const struct channel_callbacks callbacks = {.closed = on_closed};
static const struct channel_callbacks broker_callbacks = {.state = broker_channel_state};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = ERROR_INIT;
	int ends[2], gateway_fd = -1;

	fixture->broker = calloc(1, sizeof(*fixture->broker));
	fixture->broker->state = BROKER_SEALED;
	assert_int_equal(gateway_channel_open(fixture->broker, &gateway_fd, &err), 0);
	fixture->gateway = channel_new(gateway_fd, "broker", rows, 2, &callbacks, fixture, &err);
	assert_non_null(fixture->gateway);
	assert_int_equal(channel_socketpair(ends, &err), 0);
	fixture->broker->channel = channel_new(ends[0], "core", broker_rows, broker_row_count,
					       &broker_callbacks, fixture->broker, &err);
	fixture->core = channel_new(ends[1], "broker", rows, 2, &callbacks, fixture, &err);
	assert_non_null(fixture->core);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	channel_destroy(fixture->gateway);
	channel_destroy(fixture->core);
	channel_destroy(fixture->broker->channel);
	gateway_channel_close(fixture->broker);
	resource_table_destroy(&fixture->broker->resources);
	free(fixture->broker);
	free(fixture);
	return 0;
}

static void on_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct fixture *fixture = opaque;

	fixture->answered = true;
	fixture->result = message ? 0 : err->code;
}

/* Ask, let the broker answer, take the answer. */
static int declare(struct fixture *fixture, struct channel *from, const char *path, bool restore)
{
	Bulkhead__Broker__Resource resource = BULKHEAD__BROKER__RESOURCE__INIT;
	Bulkhead__Broker__Resource *resources[] = {&resource};
	Bulkhead__Broker__Declare request = BULKHEAD__BROKER__DECLARE__INIT;
	struct error err = ERROR_INIT;
	char id[] = "disk:a";

	resource.id = id;
	resource.kind = BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DISK;
	resource.path = (char *)(uintptr_t)path;
	request.resources = resources;
	request.n_resources = 1;
	request.restore = restore;
	fixture->answered = false;
	assert_int_equal(channel_request(from, DECLARE, &request.base, NULL, 0, 5000, on_reply,
					 fixture, &err),
			 0);
	if (from == fixture->gateway)
		gateway_channel_dispatch(fixture->broker);
	else
		(void)channel_dispatch(fixture->broker->channel, 0);
	(void)channel_dispatch(from, 0);
	assert_true(fixture->answered);
	return fixture->result;
}

static const char *declared_path(const struct fixture *fixture)
{
	const struct resource *resource =
		resource_table_find(&fixture->broker->resources, "disk:a");

	return resource ? resource->path : "";
}

static void the_core_names_no_file_after_the_seal(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, fixture->core, "/etc/shadow", false), -EPERM);
	assert_string_equal(declared_path(fixture), "");
}

static void the_core_cannot_grant_itself_a_restore(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, fixture->core, "/etc/shadow", true), -EPERM);
	assert_int_equal(declare(fixture, fixture->core, "/etc/shadow", false), -EPERM);
}

static void the_gateway_names_what_a_client_asked_for(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, fixture->gateway, "/srv/a.img", false), 0);
	assert_string_equal(declared_path(fixture), "/srv/a.img");
	assert_int_equal(declare(fixture, fixture->core, "/etc/shadow", false), -EPERM);
}

static void a_restore_lets_the_core_declare_once(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, fixture->gateway, "/srv/snapshot", true), 0);
	assert_int_equal(declare(fixture, fixture->core, "/srv/b.img", false), 0);
	assert_string_equal(declared_path(fixture), "/srv/b.img");
	assert_int_equal(declare(fixture, fixture->core, "/srv/c.img", false), -EPERM);
}

static void another_command_ends_the_grant_of_a_restore(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, fixture->gateway, "/srv/snapshot", true), 0);
	assert_int_equal(declare(fixture, fixture->gateway, "/srv/other", false), 0);
	assert_int_equal(declare(fixture, fixture->core, "/srv/b.img", false), -EPERM);
}

static void the_gateway_can_do_nothing_else(void **state)
{
	struct fixture *fixture = *state;
	Bulkhead__Broker__Spawn request = BULKHEAD__BROKER__SPAWN__INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(channel_request(fixture->gateway, SPAWN, &request.base, NULL, 0, 5000,
					 on_reply, fixture, &err),
			 0);
	gateway_channel_dispatch(fixture->broker);
	assert_int_equal(gateway_channel_fd(fixture->broker->gateway), -1);
	(void)channel_dispatch(fixture->gateway, 0);
	assert_true(fixture->closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_core_names_no_file_after_the_seal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_core_cannot_grant_itself_a_restore, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_gateway_names_what_a_client_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_restore_lets_the_core_declare_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_command_ends_the_grant_of_a_restore, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_gateway_can_do_nothing_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
