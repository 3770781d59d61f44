/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: what a snapshot consists of, and the commit point of taking one. Reading checks
 * every field against every other before any other file is opened, since the directory is hostile.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_MANIFEST_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"
#include "proto/snapshot.pb-c.h"
#include "vmm/core/snapshot/memory_file.h"

#define MANIFEST_FORMAT_VERSION	 1
#define MANIFEST_FILE_NAME	 "manifest.pb"
#define MANIFEST_TEMPORARY_NAME	 "manifest.pb.tmp"
#define MANIFEST_CONFIG_NAME	 "config.pb"
#define MANIFEST_VM_NAME	 "vm.pb"
#define MANIFEST_MAX_VCPUS	 16
#define MANIFEST_MAX_DEVICES	 31
#define MANIFEST_MAX_SMALL_BYTES (8U << 20) /* any one small file */

/* An empty manifest of this version; free with manifest_free. NULL: out of memory. */
Bulkhead__Snapshot__Manifest *manifest_new(void);
void manifest_free(Bulkhead__Snapshot__Manifest *manifest); /* accepts NULL */

/* Record a small file's name, size and checksum. */
int manifest_add_file(Bulkhead__Snapshot__Manifest *manifest, const char *name, const uint8_t *data,
		      size_t bytes, struct error *err);
int manifest_add_device(Bulkhead__Snapshot__Manifest *manifest, const char *id, const char *kind,
			unsigned pci_slot, struct error *err);
/* Takes what index owns on success. */
int manifest_add_memory(Bulkhead__Snapshot__Manifest *manifest, unsigned region, uint64_t gpa,
			uint64_t size_bytes, struct memory_index *index, struct error *err);

/* "devices/ID.pb", "vcpu-N.pb", "memory-region-N". */
void manifest_device_file_name(const char *id, char *name, size_t bytes);
void manifest_vcpu_file_name(unsigned index, char *name, size_t bytes);
void manifest_memory_file_name(unsigned index, char *name, size_t bytes);

/* Parse and validate the content of manifest.pb. NULL with err set: what is wrong with it. */
Bulkhead__Snapshot__Manifest *manifest_parse(const uint8_t *data, size_t bytes, struct error *err);

const Bulkhead__Snapshot__File *manifest_find_file(const Bulkhead__Snapshot__Manifest *manifest,
						   const char *name);

/* A view of a region's index; borrows from the manifest. */
struct memory_index manifest_memory_index(const Bulkhead__Snapshot__MemoryRegion *region);

/* Check a small file's content against what the manifest says of it. */
int manifest_check_file(const Bulkhead__Snapshot__File *file, const uint8_t *data, size_t bytes,
			struct error *err);

#endif
