// SPDX-License-Identifier: MIT
// Compiled at build time into a C array. The numbers are those of layout.h and acpi-pm.h.
// There is no \_S4: with it hv_balloon refuses to balloon.
DefinitionBlock ("", "DSDT", 2, "SANDBR", "SANDBAR ", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
        // The module that owns the memory-mapped space of VMBus devices. Linux takes it from the
        // nearest ancestor of VMBUS that has any.
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0xE0000000, 0xFEBFFFFF, 0, 0x1EC00000)
            })

            Device (VMBS)
            {
                Name (_HID, "VMBUS")
                Name (_UID, 0)
                Name (_CRS, ResourceTemplate () {})
                Method (_STA) { Return (0xF) }
            }
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3F8, 0x3F8, 0, 8)
                IRQNoFlags () { 4 }
            })
        }

        // No interrupt: it has no alarms.
        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x70, 0x70, 0, 2)
            })
        }
    }
}
