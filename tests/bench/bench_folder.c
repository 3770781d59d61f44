/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

int bench_folder_remove(const char *path, struct error *err)
{
	if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return 0;
	return error_set_errno(err, -errno, "remove %s", path);
}
