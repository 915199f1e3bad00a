// SPDX-License-Identifier: MIT
/* Hyper-V interface constants: status codes, MSRs, call codes, CPUID bits,
 * register names. Source: Hypervisor Top Level Functional Specification (TLFS) 6.0b and its pages
 * on the web, which the names in brackets are those of. */
#pragma once
#include "wire/le.h"

/* HV_STATUS */
enum {
        HV_STATUS_SUCCESS = 0x0000,
        HV_STATUS_INVALID_HYPERCALL_CODE = 0x0002,
        HV_STATUS_INVALID_HYPERCALL_INPUT = 0x0003,
        HV_STATUS_INVALID_ALIGNMENT = 0x0004,
        HV_STATUS_INVALID_PARAMETER = 0x0005,
        HV_STATUS_ACCESS_DENIED = 0x0006,
        HV_STATUS_INVALID_PARTITION_STATE = 0x0007,
        HV_STATUS_OPERATION_DENIED = 0x0008,
        HV_STATUS_INSUFFICIENT_MEMORY = 0x000b,
        HV_STATUS_INVALID_PARTITION_ID = 0x000d,
        HV_STATUS_INVALID_VP_INDEX = 0x000e,
        HV_STATUS_INVALID_PORT_ID = 0x0011,
        HV_STATUS_INVALID_CONNECTION_ID = 0x0012,
        HV_STATUS_INSUFFICIENT_BUFFERS = 0x0013,
        HV_STATUS_INVALID_REGISTER_VALUE = 0x0050,
};

/* CPUID leaves and their signatures (feature-discovery). */
enum {
        HV_CPUID_RANGE = 0x40000000,
        HV_CPUID_INTERFACE = 0x40000001,
        HV_CPUID_VERSION = 0x40000002,
        HV_CPUID_FEATURES = 0x40000003,
        HV_CPUID_RECOMMENDATIONS = 0x40000004,
        HV_CPUID_LIMITS = 0x40000005,
        HV_CPUID_HARDWARE = 0x40000006,
};
#define HV_CPUID_VENDOR_EBX    0x7263694du /* "Micr" */
#define HV_CPUID_VENDOR_ECX    0x666f736fu /* "osof" */
#define HV_CPUID_VENDOR_EDX    0x76482074u /* "t Hv" */
#define HV_CPUID_INTERFACE_EAX 0x31237648u /* "Hv#1" */

/* HV_PARTITION_PRIVILEGE_MASK: leaf 0x40000003, EAX | EBX << 32. */
#define HV_PRIVILEGE_VP_RUNTIME     (1ull << 0)
#define HV_PRIVILEGE_REF_COUNTER    (1ull << 1)
#define HV_PRIVILEGE_SYNIC          (1ull << 2)
#define HV_PRIVILEGE_STIMER         (1ull << 3)
#define HV_PRIVILEGE_APIC           (1ull << 4)
#define HV_PRIVILEGE_HYPERCALL      (1ull << 5)
#define HV_PRIVILEGE_VP_INDEX       (1ull << 6)
#define HV_PRIVILEGE_RESET          (1ull << 7)
#define HV_PRIVILEGE_REF_TSC        (1ull << 9)
#define HV_PRIVILEGE_GUEST_IDLE     (1ull << 10)
#define HV_PRIVILEGE_FREQUENCY      (1ull << 11)
#define HV_PRIVILEGE_REENLIGHTEN    (1ull << 13)
#define HV_PRIVILEGE_TSC_INVARIANT  (1ull << 15)
#define HV_PRIVILEGE_CREATE         (1ull << 32)
#define HV_PRIVILEGE_PARTITION_ID   (1ull << 33)
#define HV_PRIVILEGE_POST_MESSAGES  (1ull << 36)
#define HV_PRIVILEGE_SIGNAL_EVENTS  (1ull << 37)
#define HV_PRIVILEGE_CPU_MANAGEMENT (1ull << 44)
#define HV_PRIVILEGE_VP_REGISTERS   (1ull << 49)
#define HV_PRIVILEGE_EXTENDED_CALLS (1ull << 52)
#define HV_PRIVILEGE_ISOLATION      (1ull << 54)

/* Leaf 0x40000003, EDX. */
#define HV_FEATURE_XMM_INPUT      (1u << 4)
#define HV_FEATURE_FREQUENCY      (1u << 8)
#define HV_FEATURE_CRASH          (1u << 10)
#define HV_FEATURE_SINT_POLLING   (1u << 17)
#define HV_FEATURE_HYPERCALL_LOCK (1u << 18)

/* Leaf 0x40000004, EAX. */
#define HV_HINT_RELAXED_TIMING (1u << 5)
#define HV_HINT_NO_AUTO_EOI    (1u << 9)

/* Synthetic MSRs. */
enum {
        HV_MSR_FIRST = 0x40000000,
        HV_MSR_GUEST_OS_ID = 0x40000000,
        HV_MSR_HYPERCALL = 0x40000001,
        HV_MSR_VP_INDEX = 0x40000002,
        HV_MSR_RESET = 0x40000003,
        HV_MSR_VP_RUNTIME = 0x40000010,
        HV_MSR_TIME_REF_COUNT = 0x40000020,
        HV_MSR_REFERENCE_TSC = 0x40000021,
        HV_MSR_TSC_FREQUENCY = 0x40000022,
        HV_MSR_APIC_FREQUENCY = 0x40000023,
        HV_MSR_EOI = 0x40000070,
        HV_MSR_ICR = 0x40000071,
        HV_MSR_TPR = 0x40000072,
        HV_MSR_VP_ASSIST = 0x40000073,
        HV_MSR_SCONTROL = 0x40000080,
        HV_MSR_SVERSION = 0x40000081,
        HV_MSR_SIEFP = 0x40000082,
        HV_MSR_SIMP = 0x40000083,
        HV_MSR_EOM = 0x40000084,
        HV_MSR_SINT0 = 0x40000090,
        HV_MSR_SINT15 = 0x4000009f,
        HV_MSR_STIMER0_CONFIG = 0x400000b0,
        HV_MSR_STIMER3_COUNT = 0x400000b7,
        HV_MSR_GUEST_IDLE = 0x400000f0,
        HV_MSR_CRASH_P0 = 0x40000100,
        HV_MSR_CRASH_P3 = 0x40000103,
        HV_MSR_CRASH_P4 = 0x40000104,
        HV_MSR_CRASH_CTL = 0x40000105,
        HV_MSR_REENLIGHTENMENT = 0x40000106,
        HV_MSR_TSC_EMULATION_STATUS = 0x40000108,
        HV_MSR_TSC_INVARIANT = 0x40000118,
        HV_MSR_LAST = 0x400001ff,
};

/* Registers that name a guest page: bit 0 enables, 63:12 is the page number. */
#define HV_PAGE_ENABLE          (1ull << 0)
#define HV_PAGE_ADDRESS         (~0xfffull)
#define HV_HYPERCALL_LOCKED     (1ull << 1)
#define HV_RESET_NOW            (1ull << 0)
#define HV_TSC_INVARIANT_EXPOSE (1ull << 0)
/* HV_CRASH_CTL_REG_CONTENTS */
#define HV_CRASH_CTL_NOTIFY  (1ull << 63)
#define HV_CRASH_CTL_MESSAGE (1ull << 62) /* P3: address of the text, P4: its length */

/* SynIC (inter-partition-communication). */
enum {
        HV_SINTS = 16,
        HV_SYNIC_VERSION = 1,
        HV_SINT_VECTOR_MIN = 16,
        HV_EVENT_FLAGS = 2048, /* per SINT */
        HV_MESSAGE_PAYLOAD_MAX = 240,
        HV_MESSAGE_FLAG_PENDING = 1,
};
#define HV_SCONTROL_ENABLE (1ull << 0)
#define HV_SINT_VECTOR     0xffull
#define HV_SINT_MASKED     (1ull << 16)
#define HV_SINT_AUTO_EOI   (1ull << 17)
#define HV_SINT_POLLING    (1ull << 18)
#define HV_SINT_RESET      HV_SINT_MASKED

/* A slot of the SIM page. */
struct hv_message {
        le32 type; /* 0: the slot is empty */
        uint8_t payload_size;
        uint8_t flags;
        uint8_t reserved[2];
        le64 origin;
        uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct hv_message) == 256, "HV_MESSAGE");

/* HV_REFERENCE_TSC_PAGE, the part in use: time = (tsc * scale >> 64) + offset, in 100 ns. */
struct hv_reference_tsc {
        le32 sequence; /* 0: not valid, read the MSR */
        le32 reserved;
        le64 scale;
        le64 offset;
};
static_assert(sizeof(struct hv_reference_tsc) == 24, "timers");
#define HV_REFERENCE_TSC_HZ 10000000u /* the reference time's unit is 100 ns */

/* The hypercall input value (hypercall-interface). */
#define HV_INPUT_CODE(v)      ((uint16_t)((v)&0xffff))
#define HV_INPUT_FAST         (1ull << 16)
#define HV_INPUT_VARIABLE(v)  ((uint32_t)((v) >> 17 & 0x3ff)) /* header, in 8-byte words */
#define HV_INPUT_REP_COUNT(v) ((uint32_t)((v) >> 32 & 0xfff))
#define HV_INPUT_REP_START(v) ((uint32_t)((v) >> 48 & 0xfff))
#define HV_INPUT_REP_SHIFT    32
#define HV_INPUT_START_SHIFT  48
#define HV_INPUT_START_MASK   (0xfffull << HV_INPUT_START_SHIFT)
#define HV_INPUT_RESERVED     0xf000f000f8000000ull /* 31 is "nested", which we are not */

/* Call codes (hypercalls/overview). */
enum {
        HV_CALL_SWITCH_VIRTUAL_ADDRESS_SPACE = 0x0001,
        HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE = 0x0002,
        HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST = 0x0003,
        HV_CALL_GET_LOGICAL_PROCESSOR_RUN_TIME = 0x0004,
        HV_CALL_NOTIFY_LONG_SPIN_WAIT = 0x0008,
        HV_CALL_CREATE_PARTITION = 0x0040,
        HV_CALL_INITIALIZE_PARTITION = 0x0041,
        HV_CALL_FINALIZE_PARTITION = 0x0042,
        HV_CALL_DELETE_PARTITION = 0x0043,
        HV_CALL_GET_PARTITION_PROPERTY = 0x0044,
        HV_CALL_SET_PARTITION_PROPERTY = 0x0045,
        HV_CALL_INSTALL_INTERCEPT = 0x004d,
        HV_CALL_CREATE_VP = 0x004e,
        HV_CALL_DELETE_VP = 0x004f,
        HV_CALL_GET_VP_REGISTERS = 0x0050,
        HV_CALL_SET_VP_REGISTERS = 0x0051,
        HV_CALL_POST_MESSAGE = 0x005c,
        HV_CALL_SIGNAL_EVENT = 0x005d,
        HV_CALL_EXT_QUERY_CAPABILITIES = 0x8001,
        HV_CALL_EXT_MEMORY_HEAT_HINT = 0x8003,
};

#define HV_PARTITION_ID_SELF    (~0ull)
#define HV_VP_INDEX_SELF        0xfffffffeu
#define HV_INPUT_VTL_USE_TARGET (1u << 4)

/* Output of HvExtCallQueryCapabilities, and input of HvExtCallMemoryHeatHint. */
#define HV_EXT_COLD_DISCARD_HINT (1ull << 8)
#define HV_HEAT_COLD_DISCARD     2u
#define HV_RANGE_ADDITIONAL(v)   ((uint32_t)((v)&0x7ff))
#define HV_RANGE_LARGE           (1ull << 11) /* pages of 2 MiB, or with the next bit of 1 GiB */
#define HV_RANGE_GIANT           (1ull << 12)
#define HV_RANGE_LARGE_RESERVED  0x1fe000ull

/* Inputs. */
struct hv_post_message_in {
        le32 connection_id;
        le32 reserved;
        le32 type;
        le32 payload_size;
        uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct hv_post_message_in) == 256, "HvCallPostMessage");

struct hv_signal_event_in {
        le32 connection_id;
        le16 flag;
        le16 reserved;
};
static_assert(sizeof(struct hv_signal_event_in) == 8, "HvCallSignalEvent");

struct hv_vp_registers_in {
        le64 partition_id;
        le32 vp_index;
        uint8_t target_vtl;
        uint8_t reserved[3];
};
static_assert(sizeof(struct hv_vp_registers_in) == 16, "HvCallGetVpRegisters");

struct hv_register_assoc {
        le32 name;
        uint8_t reserved[12];
        le64 value[2];
};
static_assert(sizeof(struct hv_register_assoc) == 32, "HvCallSetVpRegisters");

/* HV_REGISTER_NAME */
enum {
        HV_REGISTER_VERSION_INFO = 0x00000100,  /* leaf 0x40000002 */
        HV_REGISTER_FEATURES_INFO = 0x00000200, /* leaf 0x40000003 and those that follow */
        HV_REGISTER_HARDWARE_INFO = 0x00000203,
        HV_REGISTER_CRASH_P0 = 0x00000210,
        HV_REGISTER_CRASH_CTL = 0x00000215,
        HV_REGISTER_TSC_FREQUENCY = 0x00000240,
        HV_REGISTER_APIC_FREQUENCY = 0x00000241,
        HV_REGISTER_GUEST_IDLE = 0x00000250,
        HV_REGISTER_RAX = 0x00020000,
        HV_REGISTER_RCX = 0x00020001,
        HV_REGISTER_RDX = 0x00020002,
        HV_REGISTER_RBX = 0x00020003,
        HV_REGISTER_RSP = 0x00020004,
        HV_REGISTER_RBP = 0x00020005,
        HV_REGISTER_RSI = 0x00020006,
        HV_REGISTER_RDI = 0x00020007,
        HV_REGISTER_R8 = 0x00020008,
        HV_REGISTER_R15 = 0x0002000f,
        HV_REGISTER_RIP = 0x00020010,
        HV_REGISTER_RFLAGS = 0x00020011,
        HV_REGISTER_XMM0 = 0x00030000,
        HV_REGISTER_XMM15 = 0x0003000f,
        HV_REGISTER_FP_MMX0 = 0x00030010,
        HV_REGISTER_FP_MMX7 = 0x00030017,
        HV_REGISTER_FP_CONTROL_STATUS = 0x00030018,
        HV_REGISTER_XMM_CONTROL_STATUS = 0x00030019,
        HV_REGISTER_CR0 = 0x00040000,
        HV_REGISTER_CR2 = 0x00040001,
        HV_REGISTER_CR3 = 0x00040002,
        HV_REGISTER_CR4 = 0x00040003,
        HV_REGISTER_CR8 = 0x00040004,
        HV_REGISTER_XFEM = 0x00040005,
        HV_REGISTER_DR0 = 0x00050000,
        HV_REGISTER_DR1 = 0x00050001,
        HV_REGISTER_DR2 = 0x00050002,
        HV_REGISTER_DR3 = 0x00050003,
        HV_REGISTER_DR6 = 0x00050004,
        HV_REGISTER_DR7 = 0x00050005,
        HV_REGISTER_ES = 0x00060000,
        HV_REGISTER_CS = 0x00060001,
        HV_REGISTER_SS = 0x00060002,
        HV_REGISTER_DS = 0x00060003,
        HV_REGISTER_FS = 0x00060004,
        HV_REGISTER_GS = 0x00060005,
        HV_REGISTER_LDTR = 0x00060006,
        HV_REGISTER_TR = 0x00060007,
        HV_REGISTER_IDTR = 0x00070000,
        HV_REGISTER_GDTR = 0x00070001,
        HV_REGISTER_TSC = 0x00080000,
        HV_REGISTER_EFER = 0x00080001,
        HV_REGISTER_KERNEL_GS_BASE = 0x00080002,
        HV_REGISTER_APIC_BASE = 0x00080003,
        HV_REGISTER_PAT = 0x00080004,
        HV_REGISTER_SYSENTER_CS = 0x00080005,
        HV_REGISTER_SYSENTER_RIP = 0x00080006,
        HV_REGISTER_SYSENTER_RSP = 0x00080007,
        HV_REGISTER_STAR = 0x00080008,
        HV_REGISTER_LSTAR = 0x00080009,
        HV_REGISTER_CSTAR = 0x0008000a,
        HV_REGISTER_SFMASK = 0x0008000b,
        HV_REGISTER_TSC_AUX = 0x0008007b,
        HV_REGISTER_VP_RUNTIME = 0x00090000,
        HV_REGISTER_HYPERCALL = 0x00090001,
        HV_REGISTER_GUEST_OS_ID = 0x00090002,
        HV_REGISTER_VP_INDEX = 0x00090003,
        HV_REGISTER_TIME_REF_COUNT = 0x00090004,
        HV_REGISTER_EOI = 0x00090010,
        HV_REGISTER_ICR = 0x00090011,
        HV_REGISTER_TPR = 0x00090012,
        HV_REGISTER_VP_ASSIST = 0x00090013,
        HV_REGISTER_REFERENCE_TSC = 0x00090017,
        HV_REGISTER_SINT0 = 0x000a0000,
        HV_REGISTER_SINT15 = 0x000a000f,
        HV_REGISTER_SCONTROL = 0x000a0010,
        HV_REGISTER_EOM = 0x000a0014,
        HV_REGISTER_STIMER0_CONFIG = 0x000b0000,
        HV_REGISTER_STIMER3_COUNT = 0x000b0007,
};
