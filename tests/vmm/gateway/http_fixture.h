/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of HTTP have in common: requests to the gateway of a fake core. */
#ifndef BULKHEAD_TESTS_VMM_GATEWAY_HTTP_FIXTURE_H
#define BULKHEAD_TESTS_VMM_GATEWAY_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/vmm/gateway/fake_core.h"
#include "tests/vmm/gateway/raw_client.h"

#define MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name
#define PING	      "GET /api/v1/vmm.ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define CONFIG	      "{\"payload\":{\"kernel\":\"/k\"}}"

/* The last one. */
static char response[65536];

/* A connection, the caller's. */
static inline int http(struct fake_core *core)
{
	int fd = client_connect(fake_core_path(core, FAKE_HTTP));

	assert_true(fd >= 0);
	return fd;
}

/* The status of one request on its own connection. */
static inline int request(struct fake_core *core, const char *method, const char *name,
			  const char *body)
{
	return client_request(fake_core_path(core, FAKE_HTTP), method, name, body, response,
			      sizeof(response));
}

#endif
