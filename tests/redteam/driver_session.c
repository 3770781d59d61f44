/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/redteam/driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "proto/worker.pb-c.h"

#define BYSTANDER_MS 2000

static void on_exited(void *opaque, int32_t pid, const char *device_id, int32_t exit_status,
		      int32_t signal)
{
	struct driver *driver = opaque;

	(void)device_id;
	(void)exit_status;
	if (pid == driver->bystander_pid) {
		driver->bystander_exited = true;
	} else if (driver->outcome && pid == driver->outcome->pid) {
		driver->outcome->exited = true;
		driver->outcome->signal = signal;
	}
}

static void on_violation(void *opaque, int32_t pid, const char *kind, const char *device_id,
			 int32_t syscall_number, const char *syscall_name)
{
	struct driver *driver = opaque;

	(void)kind;
	(void)device_id;
	(void)syscall_number;
	if (!driver->outcome || pid != driver->outcome->pid)
		return;
	driver->outcome->violation = true;
	(void)snprintf(driver->outcome->violation_name, sizeof(driver->outcome->violation_name),
		       "%s", syscall_name);
}

static void on_broker_closed(void *opaque, const struct error *err)
{
	struct driver *driver = opaque;

	(void)err;
	driver->broker_gone = true;
}

static const struct broker_events events = {
	.exited = on_exited, .violation = on_violation, .closed = on_broker_closed};

static int listen_at(int domain, const void *address, socklen_t bytes)
{
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && (bind(fd, address, bytes) != 0 || listen(fd, 4) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int driver_listen(struct driver *driver, const char *folder, struct error *err)
{
	struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un abstract = {.sun_family = AF_UNIX}, path = {.sun_family = AF_UNIX};
	struct order *order = &driver->order;
	socklen_t length = sizeof(tcp);

	(void)snprintf(order->abstract_socket, sizeof(order->abstract_socket),
		       "bulkhead-redteam-%d", getpid());
	(void)snprintf(order->unix_socket, sizeof(order->unix_socket), "/tmp/bulkhead-redteam-%d",
		       getpid());
	(void)folder;
	memcpy(abstract.sun_path + 1, order->abstract_socket, strlen(order->abstract_socket));
	memcpy(path.sun_path, order->unix_socket, sizeof(order->unix_socket));
	driver->listeners[0] = listen_at(AF_INET, &tcp, sizeof(tcp));
	driver->listeners[1] = listen_at(AF_UNIX, &abstract,
					 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
						     strlen(order->abstract_socket)));
	driver->listeners[2] = listen_at(AF_UNIX, &path, sizeof(path));
	for (int i = 0; i < 3; i++)
		if (driver->listeners[i] < 0)
			return error_set_errno(err, -errno, "listen");
	(void)getsockname(driver->listeners[0], (struct sockaddr *)&tcp, &length);
	order->tcp_port = ntohs(tcp.sin_port);
	return 0;
}

static const struct channel_row bystander_rows[] = {
	{BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS, FRAME_REPLY, "stats", NULL, 0, 0, 0, 0,
	 NULL},
};

static const struct channel_callbacks no_callbacks = {0};

static int driver_start_bystander(struct driver *driver, struct error *err)
{
	int ends[2];
	int rc = channel_socketpair(ends, err);

	if (rc != 0)
		return rc;
	rc = broker_spawn_sync(driver->broker, driver->environment->kind, "bystander", ends[1],
			       &driver->bystander_pid, NULL, err);
	close(ends[1]);
	if (rc == 0)
		driver->bystander = channel_new(ends[0], "bystander", bystander_rows, 1,
						&no_callbacks, driver, err);
	if (!driver->bystander)
		close(ends[0]);
	return rc == 0 && !driver->bystander ? err->code : rc;
}

int driver_start(struct driver *driver, const struct environment *environment, const char *folder,
		 const char *broker_program, struct error *err)
{
	char lock[64];
	const struct broker_start_options options = {
		.program = broker_program,
		.vm_name = "redteam",
		.log_fd = 2,
		.log_level = LOG_LEVEL_ERROR,
		.seccomp = environment->filter ? "true" : "false",
		.worker_folder = folder,
		.uid_lock_path = lock,
	};
	int rc;

	(void)snprintf(lock, sizeof(lock), "/tmp/bulkhead-redteam-%d.lock", getpid());
	*driver = (struct driver){.environment = environment, .listeners = {-1, -1, -1}};
	driver->broker = broker_client_start(&options, &events, driver, err);
	(void)unlink(lock); /* open from here on */
	if (!driver->broker)
		return err->code;
	driver->order.driver_pid = getpid();
	driver->order.broker_pid = broker_client_welcome(driver->broker)->pid;
	rc = driver_listen(driver, folder, err);
	return rc != 0 ? rc : driver_start_bystander(driver, err);
}

void driver_stop(struct driver *driver)
{
	struct error err = ERROR_INIT;

	driver->outcome = NULL;
	if (driver->broker && !driver->broker_gone &&
	    broker_client_shutdown(driver->broker, 10000, &err) != 0)
		fprintf(stderr, "redteam: %s\n", err.message);
	channel_destroy(driver->bystander);
	broker_client_destroy(driver->broker);
	for (int i = 0; i < 3; i++)
		fd_close(&driver->listeners[i]);
	(void)unlink(driver->order.unix_socket);
}

void driver_turn(struct driver *driver, int fd, int timeout_ms)
{
	struct channel *broker = broker_client_channel(driver->broker);
	struct pollfd fds[2] = {{channel_fd(broker), channel_poll_events(broker), 0},
				{fd, POLLIN, 0}};

	(void)poll(fds, 2, timeout_ms);
	if (fds[0].revents)
		(void)channel_dispatch(broker, 0);
	if (channel_fd(broker) >= 0)
		channel_expire(broker, channel_now_ms());
}

static void on_bystander_reply(void *opaque, struct channel_message *message,
			       const struct error *err)
{
	(void)err;
	((struct driver *)opaque)->bystander_answered = message != NULL;
}

bool driver_others_are_well(struct driver *driver)
{
	uint64_t deadline_ms = channel_now_ms() + BYSTANDER_MS;
	struct error err = ERROR_INIT;

	driver->bystander_answered = false;
	if (channel_fd(driver->bystander) < 0 ||
	    channel_request(driver->bystander, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS, NULL,
			    NULL, 0, BYSTANDER_MS, on_bystander_reply, driver, &err) != 0)
		return false;
	while (!driver->bystander_answered && channel_now_ms() < deadline_ms) {
		struct pollfd ready = {channel_fd(driver->bystander), POLLIN, 0};

		(void)poll(&ready, 1, 10);
		if (channel_dispatch(driver->bystander, 0) != 0)
			break;
	}
	for (int i = 0; i < 3; i++)
		if (accept(driver->listeners[i], NULL, NULL) >= 0)
			return false; /* somebody came */
	return driver->bystander_answered && !driver->bystander_exited && !driver->broker_gone;
}
