/* SPDX-License-Identifier: Apache-2.0 */
/* The guest-physical address map and interrupt numbers of the machine (docs/ARCHITECTURE.md). */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_MEMORY_MAP_H
#define BULKHEAD_VMM_CORE_PLATFORM_MEMORY_MAP_H

#define MAP_KIB(n) ((uint64_t)(n) << 10)
#define MAP_MIB(n) ((uint64_t)(n) << 20)
#define MAP_GIB(n) ((uint64_t)(n) << 30)

/* RAM: region 0 from 0 up to the hole, region 1 from 4 GiB. */
#define MAP_HOLE_START MAP_GIB(3)
#define MAP_HOLE_END   MAP_GIB(4)

/* Low memory, as a PC lays it out. */
#define MAP_BOOT_GDT	     0x500ULL
#define MAP_BOOT_START_INFO  0x6000ULL /* PVH hvm_start_info, module list, memory map */
#define MAP_BOOT_ZERO_PAGE   0x7000ULL
#define MAP_BOOT_STACK	     0x8ff0ULL
#define MAP_BOOT_PAGE_TABLES 0x9000ULL /* PML4, PDPT, 4 PDs: 6 pages */
#define MAP_BOOT_CMDLINE     0x20000ULL
#define MAP_EBDA_START	     0x9fc00ULL /* end of low RAM in E820 */
#define MAP_ACPI_START	     0xe0000ULL /* RSDP first, then the tables; up to 1 MiB; reserved in E820 */
#define MAP_ACPI_END	     0x100000ULL
#define MAP_HIGH_RAM	     0x100000ULL

/* The hole. */
#define MAP_PCI_MMIO_START 0xc0000000ULL
#define MAP_PCI_MMIO_END   0xe0000000ULL
#define MAP_ECAM_START	   0xe8000000ULL /* bus 0 only: 1 MiB */
#define MAP_ECAM_SIZE	   MAP_MIB(1)
#define MAP_IOAPIC	   0xfec00000ULL
#define MAP_LAPIC	   0xfee00000ULL
#define MAP_KVM_IDENTITY   0xfffbc000ULL
#define MAP_KVM_TSS	   0xfffbd000ULL

/* Ports. */
#define PORT_I8042_DATA	      0x60
#define PORT_I8042_COMMAND    0x64
#define PORT_CMOS_INDEX	      0x70
#define PORT_CMOS_DATA	      0x71
#define PORT_COM1	      0x3f8
#define PORT_ACPI_PM1_EVENT   0x600 /* 4 bytes: status, enable */
#define PORT_ACPI_PM1_CONTROL 0x604 /* 2 bytes */
#define PORT_ACPI_PM_TIMER    0x608 /* 4 bytes */
#define PORT_ACPI_GPE0	      0x620 /* 4 bytes: 2 status, 2 enable */
#define PORT_PCI_HOTPLUG      0x640 /* 12 bytes: up, down, eject bit masks of slots (32 bits each) */
#define PORT_ACPI_RESET	      0xcf9
#define PORT_PCI_ADDRESS      0xcf8
#define PORT_PCI_DATA	      0xcfc
#define PORT_DEBUG	      0x80
#define PORT_PVPANIC	      0x505

/* Interrupts (GSIs of the IOAPIC). */
#define GSI_COM1     4
#define GSI_ACPI_SCI 9

/* General-purpose events of GPE0. */
#define GPE_PCI_HOTPLUG 1
#define GPE_VMGENID	5

#endif
