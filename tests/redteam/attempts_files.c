/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching files: opening, creating, and changing what paths mean. */
#include "tests/redteam/attempts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct open_how read_only = {.flags = O_RDONLY};
static struct {
	unsigned bytes;
	int type;
	unsigned char handle[128];
} any_handle = {.bytes = 8, .type = 1};
static char buffer[4096];

/* A device node for the host's first disk, if it can be made, would be all of its data. */
const struct attempt attempts_files[] = {
	CALL("open /etc/passwd", BY_FILTER, open, POINTER("/etc/passwd"), O_RDONLY),
	CALL("openat /etc/shadow", BY_FILTER, openat, AT_FDCWD, POINTER("/etc/shadow"), O_RDONLY),
	CALL("openat ../../../etc/passwd", BY_FILTER, openat, AT_FDCWD,
	     POINTER("../../../etc/passwd"), O_RDONLY),
	CALL("openat2 /etc/passwd", BY_FILTER, openat2, AT_FDCWD, POINTER("/etc/passwd"),
	     POINTER(&read_only), sizeof(read_only)),
	CALL("open /proc/self/mem", BY_FILTER, open, POINTER("/proc/self/mem"), O_RDWR),
	CALL("open /proc/1/root", BY_FILTER, open, POINTER("/proc/1/root"), O_PATH),
	CALL("open /dev/kvm", BY_FILTER, open, POINTER("/dev/kvm"), O_RDWR),
	CALL("open /dev/mem", BY_FILTER, open, POINTER("/dev/mem"), O_RDWR),
	CALL("create a file", BY_FILTER, open, POINTER("/escaped"), O_CREAT | O_WRONLY, 0600),
	CALL("create an unnamed file", BY_FILTER, open, POINTER("/"), O_TMPFILE | O_RDWR, 0600),
	CALL("creat", BY_FILTER, creat, POINTER("/escaped"), 0600),
	CALL("mkdir", BY_FILTER, mkdir, POINTER("/escaped"), 0700),
	CALL("mknod of a disk", BY_FILTER, mknod, POINTER("/disk"), S_IFBLK | 0600, 0x800),
	CALL("symlink", BY_FILTER, symlink, POINTER("/etc"), POINTER("/escaped")),
	CALL("link", BY_FILTER, link, POINTER("/etc/passwd"), POINTER("/escaped")),
	CALL("rename", BY_FILTER, rename, POINTER("/etc/passwd"), POINTER("/escaped")),
	CALL("unlink", BY_FILTER, unlink, POINTER("/etc/passwd")),
	CALL("rmdir", BY_FILTER, rmdir, POINTER("/tmp")),
	CALL("chmod of the root", BY_FILTER, chmod, POINTER("/"), 0777),
	CALL("chown of the root", BY_FILTER, chown, POINTER("/"), 1, 1),
	CALL("setxattr", BY_FILTER, setxattr, POINTER("/"), POINTER("user.x"), POINTER("y"), 1),
	CALL("truncate", BY_FILTER, truncate, POINTER("/etc/passwd"), 0),
	CALL("readlink /proc/1/exe", BY_FILTER, readlink, POINTER("/proc/1/exe"), POINTER(buffer),
	     sizeof(buffer)),
	CALL("stat /etc/passwd", BY_FILTER, stat, POINTER("/etc/passwd"), POINTER(buffer)),
	CALL("access /etc/passwd", BY_FILTER, access, POINTER("/etc/passwd"), F_OK),
	CALL("chdir /etc", BY_FILTER, chdir, POINTER("/etc")),
	CALL("getdents of an fd", BY_FILTER, getdents64, 0, POINTER(buffer), sizeof(buffer)),
	CALL("open_by_handle_at", BY_FILTER, open_by_handle_at, AT_FDCWD, POINTER(&any_handle),
	     O_RDONLY),
	CALL("name_to_handle_at", BY_FILTER, name_to_handle_at, AT_FDCWD, POINTER("/etc/passwd"),
	     POINTER(&any_handle), POINTER(buffer), 0),
	CALL("chroot", BY_FILTER, chroot, POINTER("/")),
	CALL("pivot_root", BY_FILTER, pivot_root, POINTER("/"), POINTER("/")),
	CALL("mount of proc", BY_FILTER, mount, POINTER("proc"), POINTER("/"), POINTER("proc"), 0,
	     0),
	CALL("remount writable", BY_FILTER, mount, 0, POINTER("/"), 0, MS_REMOUNT | MS_BIND, 0),
	CALL("umount of the root", BY_FILTER, umount2, POINTER("/"), MNT_DETACH),
	CALL("fsopen of tmpfs", BY_FILTER, fsopen, POINTER("tmpfs"), 0),
	CALL("open_tree, cloned", BY_FILTER, open_tree, AT_FDCWD, POINTER("/"), 1),
	CALL("move_mount", BY_FILTER, move_mount, 0, POINTER(""), AT_FDCWD, POINTER("/"), 4),
	CALL("inotify_init1", BY_FILTER_ONLY, inotify_init1, 0),
	CALL("fanotify_init", BY_FILTER, fanotify_init, 0, O_RDONLY),
	CALL("quotactl", BY_FILTER, quotactl, 0x800002, POINTER("/dev/sda"), 0, 0),
	CALL("overwrite the log", BY_KERNEL, lseek, STDERR_FILENO, 0, SEEK_SET),
	{0},
};
