/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/uid_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/cleanup.h"

static int lock_file_open(const char *path, struct error *err)
{
	char folder[PATH_MAX];
	char *slash;
	int fd;

	if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
		return error_set(err, -ENAMETOOLONG, "uid lock file");
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0755) != 0 && errno != EEXIST)
			return error_set_errno(err, -errno, "create %s", folder);
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set_errno(err, -errno, "open %s", path);
	return fd;
}

int uid_slot_claim(struct uid_slot *slot, const char *lock_path, uint32_t base, uint32_t count,
		   struct error *err)
{
	uint32_t slots = count / UID_SLOT_IDS;
	/* Begin anywhere: with many VMs the first slots are all taken. */
	uint32_t first = (uint32_t)getpid() % slots;
	cleanup_fd int fd = lock_file_open(lock_path, err);

	if (fd < 0)
		return fd;
	for (uint32_t i = 0; i < slots; i++) {
		uint32_t candidate = base + (first + i) % slots * UID_SLOT_IDS;
		struct flock lock = {
			.l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = (off_t)candidate,
			.l_len = UID_SLOT_IDS,
		};

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
			*slot = (struct uid_slot){
				.lock_fd = fd_steal(&fd), .base = candidate, .next = 1};
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return error_set_errno(err, -errno, "lock %s", lock_path);
	}
	return error_set(err, -EBUSY, "all %u slots of the uid range %u:%u are taken", slots, base,
			 count);
}

uint32_t uid_slot_next(struct uid_slot *slot)
{
	uint32_t id = slot->base + slot->next;

	slot->next = slot->next + 1 < UID_SLOT_IDS ? slot->next + 1 : 1;
	return id;
}

void uid_slot_release(struct uid_slot *slot)
{
	fd_close(&slot->lock_fd);
}
