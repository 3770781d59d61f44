/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/http_routes.h"

#include <string.h>
#include <strings.h>

#include <llhttp.h>

#include "vmm/gateway/api_read.h"
#include "vmm/gateway/api_write.h"
#include "vmm/gateway/core_link.h"
#include "vmm/gateway/http_response.h"

#define API "/api/v1/"

#define ROUTE(name_, method_, message_, ...)                                                       \
	{                                                                                          \
		.role = BULKHEAD__CONTROL__ROLE__ROLE_HTTP, .path = API name_,                     \
		.method = HTTP_##method_, .message = CORE_MESSAGE(message_),                       \
		.content_type = HTTP_JSON, ##__VA_ARGS__                                           \
	}
#define LONG .is_long = true

/* The API's own paths that this version does not have. */
#define NOT_YET(name_)                                                                             \
	{                                                                                          \
		.role = BULKHEAD__CONTROL__ROLE__ROLE_HTTP, .path = API name_, .method = HTTP_PUT  \
	}

#define METRICS(path_)                                                                             \
	{                                                                                          \
		.role = BULKHEAD__CONTROL__ROLE__ROLE_METRICS, .path = path_, .method = HTTP_GET,  \
		.message = CORE_MESSAGE(COUNTERS), .write = api_write_metrics,                     \
		.writes_without_vm = true, .content_type = HTTP_METRICS                            \
	}

static const struct http_route routes[] = {
	ROUTE("vmm.ping", GET, PING, .write = api_write_pong),
	ROUTE("vmm.shutdown", PUT, VMM_SHUTDOWN, LONG),
	ROUTE("vmm.processes", GET, PROCESSES, .write = api_write_processes),
	ROUTE("vmm.events", GET, NONE, .streams_events = true),
	ROUTE("vm.info", GET, INFO, .write = api_write_info),
	ROUTE("vm.counters", GET, COUNTERS, .write = api_write_counters),
	ROUTE("vm.create", PUT, CREATE, .read = api_read_create),
	ROUTE("vm.delete", PUT, DELETE, LONG),
	ROUTE("vm.boot", PUT, BOOT, LONG),
	ROUTE("vm.shutdown", PUT, SHUTDOWN, LONG),
	ROUTE("vm.reboot", PUT, REBOOT, LONG),
	ROUTE("vm.pause", PUT, PAUSE, LONG),
	ROUTE("vm.resume", PUT, RESUME, LONG),
	ROUTE("vm.power-button", PUT, POWER_BUTTON),
	ROUTE("vm.nmi", PUT, NMI),
	ROUTE("vm.resize-disk", PUT, RESIZE_DISK, LONG, .read = api_read_resize_disk),
	ROUTE("vm.snapshot", PUT, SNAPSHOT, LONG, .read = api_read_snapshot),
	ROUTE("vm.snapshot-progress", GET, SNAPSHOT_PROGRESS, .write = api_write_progress),
	ROUTE("vm.snapshot-cancel", PUT, SNAPSHOT_CANCEL),
	ROUTE("vm.restore", PUT, RESTORE, LONG, .read = api_read_restore),
	NOT_YET("vm.resize"),
	NOT_YET("vm.resize-zone"),
	NOT_YET("vm.add-device"),
	NOT_YET("vm.remove-device"),
	NOT_YET("vm.add-disk"),
	NOT_YET("vm.add-fs"),
	NOT_YET("vm.add-generic-vhost-user"),
	NOT_YET("vm.add-pmem"),
	NOT_YET("vm.add-net"),
	NOT_YET("vm.add-vsock"),
	NOT_YET("vm.add-vdpa"),
	NOT_YET("vm.add-user-device"),
	NOT_YET("vm.coredump"),
	NOT_YET("vm.send-migration"),
	NOT_YET("vm.receive-migration"),
	METRICS("/metrics"),
	METRICS("/"),
};

/* Origin form, or absolute form without its authority (RFC 9112, 3.2). *length excludes a query. */
static const char *target_path(const char *target, size_t *length)
{
	static const char scheme[] = "http://";

	if (strncasecmp(target, scheme, sizeof(scheme) - 1) == 0) {
		target = strchr(target + sizeof(scheme) - 1, '/');
		if (!target)
			target = "/";
	}
	*length = strcspn(target, "?");
	return target;
}

const struct http_route *http_route_find(Bulkhead__Control__Role role, const char *target,
					 unsigned method, unsigned *allow)
{
	size_t length;
	const char *path = target_path(target, &length);

	*allow = 0;
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		const struct http_route *route = &routes[i];

		if (route->role != role || strlen(route->path) != length ||
		    memcmp(route->path, path, length) != 0)
			continue;
		if (route->method == method)
			return route;
		*allow = route->method;
	}
	return NULL;
}

const char *http_route_name(const struct http_route *route)
{
	return strrchr(route->path, '/') + 1;
}
