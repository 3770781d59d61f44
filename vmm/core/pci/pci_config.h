/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration space of one PCI function (PCI 3.0, 6.1): 256 bytes, and for every byte which
 * bits the guest may change and which it clears by writing 1. BAR sizing falls out of that: a BAR's
 * low address bits are read-only zeros. Not locked: struct pci_device does.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_PCI_CONFIG_H
#define BULKHEAD_VMM_CORE_PCI_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_BYTES 256
#define PCI_BAR_COUNT	 6

struct pci_identity {
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_id;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

struct pci_config {
	uint8_t bytes[PCI_CONFIG_BYTES];
	uint8_t initial[PCI_CONFIG_BYTES];   /* after power-on */
	uint8_t writable[PCI_CONFIG_BYTES];  /* bits the guest sets and clears */
	uint8_t clearable[PCI_CONFIG_BYTES]; /* bits that writing 1 clears */
	unsigned capabilities_end;
	unsigned last_link; /* offset of the pointer that the next capability is linked to */
};

/* A type 0 header: no interrupt pin, no BAR, no capability; commands that make sense without I/O
 * space are writable. */
void pci_config_init(struct pci_config *config, const struct pci_identity *identity);

/* What the header holds now is what power-on gives back. */
void pci_config_set_initial(struct pci_config *config);
void pci_config_reset(struct pci_config *config);

/* Guest accesses of any length and alignment; bytes past the end read as ones, writes there are
 * dropped. */
void pci_config_read(const struct pci_config *config, unsigned offset, uint8_t *data,
		     unsigned length_bytes);
void pci_config_write(struct pci_config *config, unsigned offset, const uint8_t *data,
		      unsigned length_bytes);

/*
 * Append a capability of length_bytes in all (the two header bytes included); body is what follows
 * the header. Returns its offset, or -ENOSPC.
 */
int pci_config_add_capability(struct pci_config *config, uint8_t id, const uint8_t *body,
			      unsigned length_bytes);

/* Make all bits of a field guest-writable. */
void pci_config_allow_write(struct pci_config *config, unsigned offset, unsigned length_bytes);

/* A 32-bit memory BAR of size_bytes, a power of two of at least 16. */
void pci_config_add_bar(struct pci_config *config, unsigned index, uint32_t size_bytes);
uint32_t pci_config_bar_address(const struct pci_config *config, unsigned index);
uint32_t pci_config_initial_bar_address(const struct pci_config *config, unsigned index);
void pci_config_set_bar_address(struct pci_config *config, unsigned index, uint32_t address);

/* Whether the guest has switched memory decoding on (command register, bit 1). */
bool pci_config_memory_enabled(const struct pci_config *config);

/* Whether an access touches [start, start + size_bytes). */
static inline bool pci_config_touches(unsigned offset, unsigned length_bytes, unsigned start,
				      unsigned size_bytes)
{
	return offset < start + size_bytes && start < offset + length_bytes;
}

#endif
