/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the hostile guest share: its options, its victims and its junk. */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "acpi.h"
#include "pci.h"
#include "virtio_pci.h"

#define HOSTILE_DEVICE_MAX 16

/*
 * Devices are led to read and write only this piece of RAM (and what is no RAM), so that the guest
 * does not destroy itself. Aligned to its size; everything of the guest's own lies below.
 */
#define ARENA_GPA  0x1000000ull
#define ARENA_SIZE 0x1000000ull

struct hostile {
	bool allow_reset; /* reset=... and sleep writes are part of the game */
	bool bridges;	  /* write to the configuration space of devices other than virtio, too */
	bool narrow;	  /* no port access wider than a byte outside PCI and ACPI */
	bool trace;	  /* print each operation before it is done */
	uint16_t extra_port;
	uint16_t extra_port_count;
	struct pci_bus bus;
	struct acpi_fixed_hardware hardware;
	uint32_t device_count;
	struct virtio_device devices[HOSTILE_DEVICE_MAX];
};

/* Random numbers; the same seed gives the same run. */
void random_seed(uint64_t seed);
uint64_t random_u64(void);
uint32_t random_u32(void);

/* A number below limit (0 if limit is 0). */
uint32_t random_below(uint32_t limit);

/* True in one of n cases. */
bool random_one_in(uint32_t n);

/* 0, 1, all ones, powers of two and their neighbours, or anything. */
uint32_t random_interesting_u32(void);

/*
 * An address for a device to access: in the arena, at the end of RAM, in the hole below 4 GiB,
 * beyond everything, or close to 2^64. Its low 32 bits never point at the guest's own memory, nor
 * at the IOAPIC and LAPIC: where a device can write there, what it writes is an interrupt message,
 * and an INIT would end the guest from within.
 */
uint64_t random_gpa(void);

/*
 * Makes a value harmless as MSI-X message data, in case a BAR has been moved over a table: an INIT
 * or SMI message would end the guest from within.
 */
uint64_t random_defuse_message(uint64_t value);

/* Fills a part of the arena with descriptors, ring indices and requests made of random_gpa(). */
void arena_fill(void);

/* One random operation of each kind. */
void config_operation(struct hostile *hostile);
void virtio_operation(struct hostile *hostile);
void msix_operation(struct hostile *hostile);
void port_operation(struct hostile *hostile);

/* mode=rings: runs every malformed ring on every device, then random ones up to ops in all. */
void rings_run(struct hostile *hostile, uint64_t ops);

/* Puts BARs and command registers back; every device must then serve a good request. */
void recovery_check(struct hostile *hostile);

#endif
