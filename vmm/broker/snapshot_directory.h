/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's directory as the broker handles it: the core, which opens no path, asks for its
 * files one by one by name. A directory that is written is discarded whole (every file that was
 * created, and the directory when it is ours) unless it was committed: by DISCARD, when the core is
 * gone, at the end.
 */
#ifndef BULKHEAD_VMM_BROKER_SNAPSHOT_DIRECTORY_H
#define BULKHEAD_VMM_BROKER_SNAPSHOT_DIRECTORY_H

#include <stdbool.h>

#include "ipc/error.h"

#define SNAPSHOT_NAME_SIZE     80
#define SNAPSHOT_MAX_FILES     96
#define SNAPSHOT_MANIFEST      "manifest.pb"
#define SNAPSHOT_MANIFEST_TEMP "manifest.pb.tmp"

struct snapshot_directory {
	int fd;	    /* -1: none */
	char *path; /* owned */
	bool writing;
	bool created; /* the directory itself is ours */
	unsigned file_count;
	char files[SNAPSHOT_MAX_FILES][SNAPSHOT_NAME_SIZE]; /* that we created, in order */
	bool devices_created;
};

#define SNAPSHOT_DIRECTORY_INIT                                                                    \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Begin to write a snapshot at path: the directory is created 0700, or exists and is empty; its
 * parents exist. -ENOTEMPTY, -EBUSY (another one is being written or read) and what the file system
 * says.
 */
int snapshot_directory_create(struct snapshot_directory *directory, const char *path,
			      struct error *err);

/* Begin to read the snapshot at path. Nothing is ever written there. */
int snapshot_directory_read(struct snapshot_directory *directory, const char *path,
			    struct error *err);

/*
 * One file: a new one (0600, must not exist) of a directory that is written, an existing regular
 * file of one that is read. name is "NAME" or "devices/NAME", of letters, digits, '-', '_' and '.'.
 * Returns the fd, the caller's.
 */
int snapshot_directory_open_file(struct snapshot_directory *directory, const char *name,
				 struct error *err);

/*
 * The commit point: names are flushed, the manifest gets its final name, that is flushed too.
 * Contents were flushed by whoever wrote them. On failure the directory is still uncommitted.
 */
int snapshot_directory_commit(struct snapshot_directory *directory, struct error *err);

/* Remove what was created if it is not committed; forget the directory. Harmless when there is
 * none. */
void snapshot_directory_close(struct snapshot_directory *directory);

#endif
