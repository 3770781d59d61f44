/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/control_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/cleanup.h"
#include "vmm/core/config/option_string.h"

#define MAX_FD 65535

static struct control_socket_setting *setting_add(struct control_settings *settings,
						  Bulkhead__Control__Role role, const char *option,
						  struct error *err)
{
	struct control_socket_setting *setting;

	if (settings->socket_count == CONTROL_MAX_SOCKETS) {
		error_set(err, -EINVAL, "%s: more than %d control sockets", option,
			  CONTROL_MAX_SOCKETS);
		return NULL;
	}
	setting = &settings->sockets[settings->socket_count++];
	*setting = (struct control_socket_setting){.role = role, .fd = -1};
	return setting;
}

static int path_set(char *path, size_t size, const char *text, const char *option,
		    struct error *err)
{
	if (!text[0] || strlen(text) >= size)
		return error_set(err, -EINVAL, "%s: a path of 1 to %zu bytes is needed", option,
				 size - 1);
	memcpy(path, text, strlen(text) + 1);
	return 0;
}

static int fd_parse(const char *text, int *fd, const char *option, struct error *err)
{
	uint64_t number;

	if (option_parse_count(text, MAX_FD, &number) < 0)
		return error_set(err, -EINVAL, "%s: fd=%.32s is not a file descriptor", option,
				 text);
	if (fcntl((int)number, F_GETFD) < 0)
		return error_set_errno(err, -errno, "%s: fd=%d", option, (int)number);
	*fd = (int)number;
	return 0;
}

static int socket_add(struct control_settings *settings, Bulkhead__Control__Role role,
		      const char *option, const char *text, struct error *err)
{
	struct control_socket_setting *setting = setting_add(settings, role, option, err);

	if (!setting)
		return err->code;
	if (strncmp(text, "fd=", 3) == 0)
		return fd_parse(text + 3, &setting->fd, option, err);
	if (strncmp(text, "path=", 5) == 0)
		text += 5;
	return path_set(setting->path, sizeof(setting->path), text, option, err);
}

int control_settings_add_api_socket(struct control_settings *settings, const char *text,
				    struct error *err)
{
	return socket_add(settings, BULKHEAD__CONTROL__ROLE__ROLE_HTTP, "--api-socket", text, err);
}

int control_settings_add_metrics_socket(struct control_settings *settings, const char *text,
					struct error *err)
{
	return socket_add(settings, BULKHEAD__CONTROL__ROLE__ROLE_METRICS, "--metrics-socket", text,
			  err);
}

/* What stands behind the path. Being anything else than a server that does not wait is not offered.
 */
static int qmp_set_option(struct control_socket_setting *setting, const char *option,
			  struct error *err)
{
	static const char *const accepted[] = {"server=on", "server", "wait=off", "nowait",
					       "negotiate=on"};

	for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++)
		if (strcmp(option, accepted[i]) == 0)
			return 0;
	if (strcmp(option, "negotiate=off") != 0)
		return error_set(err, -EINVAL,
				 "--qmp: %.32s: server=on, wait=off and negotiate=on|off are known",
				 option);
	setting->qmp_no_negotiation = true;
	return 0;
}

int control_settings_add_qmp(struct control_settings *settings, const char *text, struct error *err)
{
	struct control_socket_setting *setting =
		setting_add(settings, BULKHEAD__CONTROL__ROLE__ROLE_QMP, "--qmp", err);
	cleanup_free char *copy = strdup(text);
	char *rest = copy;

	if (!setting)
		return err->code;
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	if (strncmp(text, "unix:", 5) == 0) {
		rest += 5;
		if (path_set(setting->path, sizeof(setting->path), strsep(&rest, ","), "--qmp",
			     err) < 0)
			return err->code;
		while (rest)
			if (qmp_set_option(setting, strsep(&rest, ","), err) < 0)
				return err->code;
		return 0;
	}
	/* "tcp:1234" and the like: an address of another kind, no path. */
	if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz-")] == ':')
		return error_set(err, -EINVAL, "--qmp %.64s: write unix:PATH, or a path", text);
	return path_set(setting->path, sizeof(setting->path), text, "--qmp", err);
}

int control_settings_set_event_monitor(struct control_settings *settings, const char *text,
				       struct error *err)
{
	if (settings->has_event_monitor_fd || settings->event_monitor_path[0])
		return error_set(err, -EINVAL, "--event-monitor is given twice");
	if (strncmp(text, "fd=", 3) == 0) {
		settings->has_event_monitor_fd = true;
		return fd_parse(text + 3, &settings->event_monitor_fd, "--event-monitor", err);
	}
	if (strncmp(text, "path=", 5) != 0)
		return error_set(err, -EINVAL, "--event-monitor %.64s: write path=PATH or fd=N",
				 text);
	return path_set(settings->event_monitor_path, sizeof(settings->event_monitor_path),
			text + 5, "--event-monitor", err);
}

/*
 * A fifo is opened in both directions: then it does not matter who comes first, and a reader that
 * goes does not take us along. O_NONBLOCK: a reader that does not read loses events.
 */
int control_settings_open_event_monitor(const struct control_settings *settings, int *fd,
					struct error *err)
{
	const char *path = settings->event_monitor_path;
	const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat status;
	int opened;

	*fd = -1;
	if (settings->has_event_monitor_fd) {
		opened = settings->event_monitor_fd;
		if (fcntl(opened, F_SETFD, FD_CLOEXEC) < 0 ||
		    fcntl(opened, F_SETFL, fcntl(opened, F_GETFL) | O_NONBLOCK) < 0)
			return error_set_errno(err, -errno, "--event-monitor fd=%d", opened);
		*fd = opened;
		return 0;
	}
	if (!path[0])
		return 0;
	if (stat(path, &status) == 0 && S_ISFIFO(status.st_mode))
		opened = open(path, O_RDWR | flags);
	else
		opened = open(path, O_WRONLY | O_CREAT | O_APPEND | flags, 0600);
	if (opened < 0)
		return error_set_errno(err, -errno, "--event-monitor path=%s", path);
	*fd = opened;
	return 0;
}
