/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/pci_config.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "vmm/core/pci/little_endian.h"

#define PCI_FIRST_CAPABILITY 0x40

#define PCI_COMMAND_WRITABLE                                                                       \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |         \
	 PCI_COMMAND_INTX_DISABLE)

#define PCI_STATUS_CLEARABLE                                                                       \
	(PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |           \
	 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY)

void pci_config_init(struct pci_config *config, const struct pci_identity *identity)
{
	uint8_t *bytes;

	memset(config, 0, sizeof(*config));
	bytes = config->bytes;
	little_endian_store(bytes + PCI_VENDOR_ID, 2, identity->vendor_id);
	little_endian_store(bytes + PCI_DEVICE_ID, 2, identity->device_id);
	little_endian_store(bytes + PCI_SUBSYSTEM_VENDOR_ID, 2, identity->subsystem_vendor_id);
	little_endian_store(bytes + PCI_SUBSYSTEM_ID, 2, identity->subsystem_id);
	little_endian_store(bytes + PCI_CLASS_PROG, 3, identity->class_code);
	bytes[PCI_REVISION_ID] = identity->revision;

	little_endian_store(config->writable + PCI_COMMAND, 2, PCI_COMMAND_WRITABLE);
	little_endian_store(config->clearable + PCI_STATUS, 2, PCI_STATUS_CLEARABLE);
	pci_config_allow_write(config, PCI_CACHE_LINE_SIZE, 1);
	pci_config_allow_write(config, PCI_LATENCY_TIMER, 1);
	pci_config_allow_write(config, PCI_INTERRUPT_LINE, 1);

	config->capabilities_end = PCI_FIRST_CAPABILITY;
	config->last_link = PCI_CAPABILITY_LIST;
	pci_config_set_initial(config);
}

void pci_config_set_initial(struct pci_config *config)
{
	memcpy(config->initial, config->bytes, sizeof(config->initial));
}

void pci_config_reset(struct pci_config *config)
{
	memcpy(config->bytes, config->initial, sizeof(config->bytes));
}

void pci_config_read(const struct pci_config *config, unsigned offset, uint8_t *data,
		     unsigned length_bytes)
{
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < PCI_CONFIG_BYTES ? config->bytes[offset + i] : 0xff;
}

void pci_config_write(struct pci_config *config, unsigned offset, const uint8_t *data,
		      unsigned length_bytes)
{
	for (unsigned i = 0; i < length_bytes && offset + i < PCI_CONFIG_BYTES; i++) {
		uint8_t writable = config->writable[offset + i];
		uint8_t *byte = &config->bytes[offset + i];

		*byte = (uint8_t)((*byte & ~writable) | (data[i] & writable));
		*byte &= (uint8_t) ~(data[i] & config->clearable[offset + i]);
	}
}

int pci_config_add_capability(struct pci_config *config, uint8_t id, const uint8_t *body,
			      unsigned length_bytes)
{
	unsigned offset = config->capabilities_end;

	if (length_bytes < 2 || length_bytes > PCI_CONFIG_BYTES - offset)
		return -ENOSPC;
	config->bytes[offset + PCI_CAP_LIST_ID] = id;
	memcpy(&config->bytes[offset + PCI_CAP_FLAGS], body, length_bytes - 2);
	config->bytes[config->last_link] = (uint8_t)offset;
	config->bytes[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	config->last_link = offset + PCI_CAP_LIST_NEXT;
	config->capabilities_end = (offset + length_bytes + 3) & ~3U;
	return (int)offset;
}

void pci_config_allow_write(struct pci_config *config, unsigned offset, unsigned length_bytes)
{
	memset(&config->writable[offset], 0xff, length_bytes);
}

static unsigned bar_register(unsigned index)
{
	return PCI_BASE_ADDRESS_0 + 4 * index;
}

void pci_config_add_bar(struct pci_config *config, unsigned index, uint32_t size_bytes)
{
	little_endian_store(&config->writable[bar_register(index)], 4, ~(size_bytes - 1));
}

static uint32_t bar_address(const uint8_t *bytes, unsigned index)
{
	return (uint32_t)little_endian_load(&bytes[bar_register(index)], 4) & ~0xfU;
}

uint32_t pci_config_bar_address(const struct pci_config *config, unsigned index)
{
	return bar_address(config->bytes, index);
}

uint32_t pci_config_initial_bar_address(const struct pci_config *config, unsigned index)
{
	return bar_address(config->initial, index);
}

void pci_config_set_bar_address(struct pci_config *config, unsigned index, uint32_t address)
{
	uint8_t bytes[4];

	little_endian_store(bytes, 4, address);
	pci_config_write(config, bar_register(index), bytes, 4);
}

bool pci_config_memory_enabled(const struct pci_config *config)
{
	return config->bytes[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}
