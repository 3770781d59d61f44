/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scratch_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_FOLDERS 8 /* that nftw may hold at once */

void scratch_folder_make(const char *name, char *path, size_t bytes)
{
	int length = snprintf(path, bytes, "/tmp/bulkhead-%s-XXXXXX", name);

	assert_true(length > 0 && (size_t)length < bytes);
	if (!mkdtemp(path))
		fail_msg("%s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

void scratch_folder_remove(const char *path)
{
	if (nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0)
		fail_msg("%s cannot be removed: %s", path, strerror(errno));
}
