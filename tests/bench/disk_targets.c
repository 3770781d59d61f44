/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/disk_targets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "proto/blk.pb-c.h"
#include "tests/bench/disk_vhost_user.h"

#define PEER_PROGRAM	 "qemu-storage-daemon"
#define RING_SIZE	 256U
#define CONNECT_TRIES	 500
#define CONNECT_PAUSE_NS 10000000L

static int configure_worker(struct disk_worker *worker, int fd, bool direct, bool threads,
			    struct error *err)
{
	Bulkhead__Blk__Config config;

	bulkhead__blk__config__init(&config);
	config.direct = direct;
	config.num_queues = 1;
	config.queue_size = RING_SIZE;
	config.no_io_uring = threads;
	return worker_driver_configure(&worker->driver, &config.base, &fd, 1, err);
}

int disk_worker_start(struct disk_worker *worker, const struct disk_image *image,
		      struct guest_ram *ram, bool threads, struct error *err)
{
	struct ring_driver *rings[] = {&worker->ring};
	cleanup_fd int fd = open(image->path, O_RDWR | O_CLOEXEC | (image->direct ? O_DIRECT : 0));
	int status;

	memset(worker, 0, sizeof(*worker));
	if (fd < 0)
		return error_set_errno(err, -errno, "open %s", image->path);
	status = worker_driver_start(&worker->driver, "blk", err);
	if (status)
		return status;
	ring_driver_init(&worker->ring, ram, 0, RING_SIZE, true);
	status = configure_worker(worker, fd, image->direct, threads, err);
	if (status == 0)
		status = worker_driver_activate_simple(&worker->driver, ram, rings, 1, err);
	return status;
}

void disk_worker_stop(struct disk_worker *worker)
{
	(void)worker_driver_stop(&worker->driver);
	ring_driver_destroy(&worker->ring);
}

static pid_t start_peer(const struct disk_image *image, const char *socket_path, const char *aio)
{
	char file[4352], export[4352];
	const char *arguments[] = {PEER_PROGRAM,
				   "--blockdev",
				   file,
				   "--blockdev",
				   "driver=raw,node-name=disk,file=file",
				   "--export",
				   export,
				   NULL};
	pid_t pid;

	/* Two programs have the image open at once, which only a benchmark should do. */
	(void)snprintf(file, sizeof(file),
		       "driver=file,node-name=file,filename=%s,locking=off,aio=%s,cache.direct=%s",
		       image->path, aio, image->direct ? "on" : "off");
	(void)snprintf(export, sizeof(export),
		       "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=%s,"
		       "writable=on,num-queues=1",
		       socket_path);
	pid = fork();
	if (pid == 0) {
		execvp(PEER_PROGRAM, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	return pid;
}

static int connect_to_peer(struct disk_peer *peer, const char *socket_path, struct error *err)
{
	const struct timespec pause = {.tv_nsec = CONNECT_PAUSE_NS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	peer->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->socket_fd < 0)
		return error_set_errno(err, -errno, "socket");
	for (unsigned i = 0; i < CONNECT_TRIES; i++) {
		if (connect(peer->socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return 0;
		if (waitpid(peer->pid, NULL, WNOHANG) == peer->pid) {
			peer->pid = 0;
			return error_set(err, -ENOENT, PEER_PROGRAM " is not here or ended");
		}
		nanosleep(&pause, NULL);
	}
	return error_set(err, -ETIMEDOUT, PEER_PROGRAM " does not listen");
}

int disk_peer_start(struct disk_peer *peer, const struct disk_image *image, struct guest_ram *ram,
		    const char *aio, struct error *err)
{
	char folder[] = "/tmp/bulkhead-bench-XXXXXX";
	char socket_path[64];
	int status;

	memset(peer, 0, sizeof(*peer));
	peer->socket_fd = -1;
	if (!mkdtemp(folder))
		return error_set_errno(err, -errno, "folder for the socket");
	(void)snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	peer->pid = start_peer(image, socket_path, aio);
	status = peer->pid < 0 ? error_set_errno(err, -errno, "fork")
			       : connect_to_peer(peer, socket_path, err);
	(void)unlink(socket_path);
	(void)rmdir(folder);
	if (status == 0) {
		ring_driver_init(&peer->ring, ram, 0, RING_SIZE, true);
		status = disk_vhost_user_start(peer->socket_fd, ram, &peer->ring, err);
	}
	return status;
}

void disk_peer_stop(struct disk_peer *peer)
{
	fd_close(&peer->socket_fd);
	if (peer->pid > 0) {
		(void)kill(peer->pid, SIGTERM);
		(void)waitpid(peer->pid, NULL, 0);
	}
	peer->pid = 0;
	ring_driver_destroy(&peer->ring);
}
