/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole, valid snapshot made up without a VM: 16 MiB of memory of which two chunks are not zeros,
 * two vCPUs, three devices. Its files are held in memory, to be changed and read through a
 * snapshot_source, or written into a directory.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_SNAPSHOT_SAMPLE_H
#define BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_SNAPSHOT_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/snapshot.pb-c.h"
#include "vmm/core/kvm/vcpu_registers.h"
#include "vmm/core/snapshot/snapshot_reader.h"

#define SAMPLE_MAX_FILES    12
#define SAMPLE_MEMORY_BYTES (16U << 20)
#define SAMPLE_VCPUS	    2

struct sample_file {
	char name[80];
	uint8_t *data; /* owned */
	size_t bytes;
};

struct snapshot_sample {
	/* Small files, then manifest.pb, then memory-region-0. */
	struct sample_file files[SAMPLE_MAX_FILES];
	unsigned count;
	Bulkhead__Snapshot__Manifest *manifest;
	const char *missing; /* name of a file that cannot be opened; NULL: none */
};

void sample_init(struct snapshot_sample *sample);
void sample_destroy(struct snapshot_sample *sample);

struct sample_file *sample_find(struct snapshot_sample *sample, const char *name);

/* Make manifest.pb anew from sample->manifest, as it is. */
void sample_write_manifest(struct snapshot_sample *sample);

/* Replace a small file by a packed message without checksum, and make the manifest agree. */
void sample_replace(struct snapshot_sample *sample, const char *name, const uint8_t *message,
		    size_t bytes);

struct snapshot_source sample_source(struct snapshot_sample *sample);

/* Read it. NULL: err says what is wrong. */
struct snapshot_reader *sample_read(struct snapshot_sample *sample, struct error *err);

/* Write all files into a new directory. */
void sample_store(struct snapshot_sample *sample, const char *path);

/* Registers in which every field has a value of its own; release them. */
void sample_registers(struct vcpu_registers *registers, unsigned seed);

#endif
