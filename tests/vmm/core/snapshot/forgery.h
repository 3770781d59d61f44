/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of a snapshot in a directory, looked at and replaced: what a writer who knows the
 * format could do. Names are relative to `folder`.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_FORGERY_H
#define BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_FORGERY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/snapshot.pb-c.h"

/* malloc'ed, the caller's. */
uint8_t *forgery_load(const char *folder, const char *name, size_t *bytes);
void forgery_store(const char *folder, const char *name, const uint8_t *data, size_t bytes);

Bulkhead__Snapshot__Manifest *forgery_read_manifest(const char *folder);
void forgery_write_manifest(const char *folder, Bulkhead__Snapshot__Manifest *manifest);

/* A small file and the manifest as they were. */
struct forgery {
	const char *folder, *name;
	uint8_t *data, *manifest;
	size_t bytes, manifest_bytes;
};

/* Replace a small file; all checksums fit. */
struct forgery forgery_make(const char *folder, const char *name, const ProtobufCMessage *message);
void forgery_undo(struct forgery *forgery);

#endif
