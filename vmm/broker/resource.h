/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources that a VM's configuration names, and nothing else, can be opened. A table of
 * declarations; each may be opened any number of times (a restarted worker needs its image again).
 */
#ifndef BULKHEAD_VMM_BROKER_RESOURCE_H
#define BULKHEAD_VMM_BROKER_RESOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"
#include "proto/broker.pb-c.h"

#define RESOURCE_MAX	       128
#define RESOURCE_ID_SIZE       64
#define RESOURCE_PTY_PATH_SIZE 64

struct resource {
	char id[RESOURCE_ID_SIZE];
	Bulkhead__Broker__ResourceKind kind;
	char *path; /* owned */
	bool read_only;
	bool direct;
	uint64_t size_bytes;
	uint64_t declared_at; /* count of declarations */
	/* RESOURCE_LISTEN_SOCKET, while a socket of ours stands at path */
	bool bound;
	dev_t bound_device;
	ino_t bound_inode;
	int64_t bound_created_ns; /* inode numbers are used again */
};

struct resource_table {
	unsigned count;
	uint64_t declarations;
	struct resource entries[RESOURCE_MAX];
};

/*
 * Check a declaration (its text is the core's, which may be taken over) and keep a copy. Others
 * with its id stay: a client may declare for a VM that is then refused; when the table is full the
 * oldest declaration goes (of a VM that was deleted: one VM declares fewer), but no socket that
 * stands. -EINVAL: malformed; -E2BIG: too many.
 */
int resource_table_declare(struct resource_table *table,
			   const Bulkhead__Broker__Resource *declaration, struct error *err);

/* The last declaration with this id; NULL: there is none. */
struct resource *resource_table_find(struct resource_table *table, const char *id);

/* The very same declaration; NULL: there is none. */
struct resource *resource_table_find_same(struct resource_table *table,
					  const Bulkhead__Broker__Resource *declaration);

/* Unlink the sockets that were created and free everything. */
void resource_table_destroy(struct resource_table *table);

/*
 * Open a declared resource: the fd, owned by the caller, close-on-exec. pty_path
 * (RESOURCE_PTY_PATH_SIZE bytes) receives the slave's path of RESOURCE_PTY, "" otherwise. err reads
 * `disk "root": open /srv/a.img: Permission denied`.
 */
int resource_open(struct resource *resource, char *pty_path, struct error *err);

#endif
