/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of every request that takes one: what is taken, and each way to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <llhttp.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/api_read.h"
#include "vmm/gateway/http_routes.h"
#include "vmm/gateway/json_text.h"

static struct json_errors errors;

static ProtobufCMessage *read_body(const char *name, const char *text)
{
	char target[128];
	const struct http_route *route;
	ProtobufCMessage *message = NULL;
	unsigned allow;
	json_t *value;

	memset(&errors, 0, sizeof(errors));
	(void)snprintf(target, sizeof(target), "/api/v1/%s", name);
	route = http_route_find(BULKHEAD__CONTROL__ROLE__ROLE_HTTP, target, HTTP_PUT, &allow);
	assert_non_null(route);
	assert_non_null(route->read);
	value = json_text_parse(text, strlen(text), &errors);
	if (value)
		message = route->read(value, &errors);
	json_decref(value);
	assert_true((message == NULL) == (errors.count > 0));
	return message;
}

static void every_body_can_be_wrong_in_every_way(void **state)
{
	static const struct {
		const char *request, *body, *message;
	} cases[] = {
		{"vm.resize-disk", "[]", "must be an object"},
		{"vm.resize-disk", "{}", "id: is missing"},
		{"vm.resize-disk", "{\"id\":\"d\"}", "desired_size: is missing"},
		{"vm.resize-disk", "{\"id\":\"\",\"desired_size\":512}", "id: must not be empty"},
		{"vm.resize-disk", "{\"id\":1,\"desired_size\":512}", "id: must be a string"},
		{"vm.resize-disk", "{\"id\":\"d\",\"desired_size\":\"1G\"}",
		 "desired_size: must be an integer"},
		{"vm.resize-disk", "{\"id\":\"d\",\"desired_size\":0}",
		 "desired_size: must be from 1"},
		{"vm.resize-disk", "{\"id\":\"d\",\"desired_size\":-1}",
		 "desired_size: must be from 1"},
		{"vm.resize-disk", "{\"id\":\"d\",\"desired_size\":9223372036854775808}",
		 "too big integer"},
		{"vm.resize-disk", "{\"id\":\"d\",\"desired_size\":1,\"x\":1}", "x: unknown field"},
		{"vm.resize-disk", "{\"id\":\"d\",\"id\":\"e\",\"desired_size\":1}", "duplicate"},
		{"vm.resize-disk", "{\"id\":\"\xc0\x80\",\"desired_size\":1}", "unable to decode"},
		{"vm.snapshot", "{}", "destination_url: is missing"},
		{"vm.snapshot", "{\"destination_url\":null}", "destination_url: must be a string"},
		{"vm.snapshot", "{\"destination_url\":[]}", "destination_url: must be a string"},
		{"vm.snapshot", "{\"destination_url\":\"/x\"}", "destination_url: only file"},
		{"vm.snapshot", "{\"destination_url\":\"file://host/x\"}",
		 "destination_url: must be an absolute path on this host"},
		{"vm.snapshot", "{\"destination_url\":\"file:///x%zz\"}",
		 "destination_url: is not a valid URL"},
		{"vm.snapshot", "{\"destination_url\":\"file:///x%00y\"}",
		 "destination_url: is not a valid URL"},
		{"vm.snapshot", "{\"destination_url\":\"file:///x\",\"live\":true}",
		 "live: unknown field"},
		{"vm.restore", "{}", "source_url: is missing"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"memory_restore_mode\":\"Fast\"}",
		 "memory_restore_mode: must be one of Copy, OnDemand"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"resume\":\"yes\"}",
		 "resume: must be true or false"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"net_fds\":[{\"id\":\"n\"}]}",
		 "net_fds: not supported"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"overrides\":[{\"id\":\"d\"}]}",
		 "overrides[0]: says neither path nor mode"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"overrides\":[{\"path\":\"/p\"}]}",
		 "overrides[0].id: is missing"},
		{"vm.restore", "{\"source_url\":\"file:///x\",\"overrides\":{}}",
		 "overrides: must be a list"},
		{"vm.create", "null", "must be an object"},
		{"vm.create", "\"text\"", "must be an object"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_null(read_body(cases[i].request, cases[i].body));
		if (!strstr(errors.messages[0], cases[i].message))
			fail_msg("%s %s: \"%s\" instead of \"%s\"", cases[i].request, cases[i].body,
				 errors.messages[0], cases[i].message);
	}
}

static void a_disk_is_resized_by_its_id(void **state)
{
	Bulkhead__Control__ResizeDisk *message = (Bulkhead__Control__ResizeDisk *)read_body(
		"vm.resize-disk", "{\"id\":\"root\",\"desired_size\":1073741824}");

	(void)state;
	assert_non_null(message);
	assert_string_equal(message->id, "root");
	assert_int_equal(message->size_bytes, 1073741824);
	bulkhead__control__resize_disk__free_unpacked(message, NULL);
}

static void restore_takes_its_mode_and_its_overrides(void **state)
{
	Bulkhead__Control__Restore *message = (Bulkhead__Control__Restore *)read_body(
		"vm.restore",
		"{\"source_url\":\"file:///snap%20one\",\"memory_restore_mode\":\"OnDemand\","
		"\"prefault\":true,\"resume\":true,\"force\":true,\"net_fds\":[],\"overrides\":["
		"{\"id\":\"root\",\"path\":\"/b\",\"readonly\":true},{\"id\":\"serial\","
		"\"mode\":\"File\",\"path\":\"/l\"}]}");

	(void)state;
	assert_non_null(message);
	assert_string_equal(message->directory, "/snap one");
	assert_int_equal(message->mode, BULKHEAD__CONTROL__RESTORE_MODE__RESTORE_ON_DEMAND);
	assert_true(message->prefault && message->resume && message->force);
	assert_int_equal(message->n_overrides, 2);
	assert_string_equal(message->overrides[0]->path, "/b");
	assert_true(message->overrides[0]->read_only && !message->overrides[0]->has_mode);
	assert_true(message->overrides[1]->has_mode);
	assert_int_equal(message->overrides[1]->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE);
	bulkhead__control__restore__free_unpacked(message, NULL);
}

static void urls_become_paths(void **state)
{
	static const char *const cases[][2] = {
		{"file:///srv/a", "/srv/a"},
		{"file:/srv/a", "/srv/a"},
		{"file://localhost/srv/a", "/srv/a"},
		{"file:///srv/%41%2fb", "/srv/A/b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *path;

		memset(&errors, 0, sizeof(errors));
		path = api_read_url(cases[i][0], "url", &errors);
		assert_non_null(path);
		assert_string_equal(path, cases[i][1]);
		free(path);
	}
}

static void targets_are_found_in_every_form(void **state)
{
	static const char *const targets[] = {"/api/v1/vm.info", "/api/v1/vm.info?x=1",
					      "http://localhost/api/v1/vm.info",
					      "HTTP://h:1/api/v1/vm.info"};
	static const char *const strangers[] = {
		"/api/v1/vm.inf", "/api/v1/vm.info/", "/", "*", "", "http://localhost", "/metrics"};
	unsigned allow;

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		assert_non_null(http_route_find(BULKHEAD__CONTROL__ROLE__ROLE_HTTP, targets[i],
						HTTP_GET, &allow));
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		assert_null(http_route_find(BULKHEAD__CONTROL__ROLE__ROLE_HTTP, strangers[i],
					    HTTP_GET, &allow));
		assert_int_equal(allow, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_body_can_be_wrong_in_every_way),
		cmocka_unit_test(a_disk_is_resized_by_its_id),
		cmocka_unit_test(restore_takes_its_mode_and_its_overrides),
		cmocka_unit_test(urls_become_paths),
		cmocka_unit_test(targets_are_found_in_every_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
