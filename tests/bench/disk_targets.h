/* SPDX-License-Identifier: Apache-2.0 */
/* The two devices that the disk benchmark compares, each with a ring of its own on one image. */
#ifndef BULKHEAD_TESTS_BENCH_DISK_TARGETS_H
#define BULKHEAD_TESTS_BENCH_DISK_TARGETS_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc/error.h"
#include "tests/devworkers/common/ring_driver.h"
#include "tests/devworkers/common/worker_driver.h"

struct disk_image {
	const char *path;
	bool direct;
};

/* bulkhead-blk in its sandbox. */
struct disk_worker {
	struct worker_driver driver;
	struct ring_driver ring;
};

int disk_worker_start(struct disk_worker *worker, const struct disk_image *image,
		      struct guest_ram *ram, bool threads, struct error *err);
void disk_worker_stop(struct disk_worker *worker);

/* qemu-storage-daemon with a vhost-user-blk export. */
struct disk_peer {
	pid_t pid; /* 0: none */
	int socket_fd;
	struct ring_driver ring;
};

/* aio: how it does I/O on the image, "threads" or "io_uring". -ENOENT: not installed. */
int disk_peer_start(struct disk_peer *peer, const struct disk_image *image, struct guest_ram *ram,
		    const char *aio, struct error *err);
void disk_peer_stop(struct disk_peer *peer);

#endif
