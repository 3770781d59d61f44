/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox stage: an empty, read-only root. */
#include "devworkers/common/sandbox_stages.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Any directory that is sure to exist will do as the place where the new root is put for a moment.
 */
#define STAGING_DIRECTORY "/proc"

/*
 * The kernel's first root (an initramfs) cannot be pivoted away from: the new root is moved over it
 * instead. The old one stays below, out of reach without the capabilities that the next stages
 * drop.
 */
static int root_move_over(struct error *err)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) != 0)
		return error_set_errno(err, -errno, "move the new root");
	if (chroot(".") != 0)
		return error_set_errno(err, -errno, "chroot");
	return 0;
}

int sandbox_stage_root(struct error *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	/* Nothing that happens from here on may propagate to the host's mounts. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return error_set_errno(err, -errno, "make mounts private");
	if (mount("empty", STAGING_DIRECTORY, "tmpfs", flags, "mode=0555,size=4k,nr_inodes=1") != 0)
		return error_set_errno(err, -errno, "mount an empty root");
	if (chdir(STAGING_DIRECTORY) != 0)
		return error_set_errno(err, -errno, "enter the new root");
	/* With "." twice the old root ends up mounted on top of the new one, ready to be detached.
	 */
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) != 0)
			return error_set_errno(err, -errno, "detach the old root");
	} else if (errno != EINVAL) {
		return error_set_errno(err, -errno, "pivot_root");
	} else if (root_move_over(err) != 0) {
		return err ? err->code : -EINVAL;
	}
	if (chdir("/") != 0)
		return error_set_errno(err, -errno, "enter the empty root");
	return 0;
}
