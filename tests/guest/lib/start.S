// SPDX-License-Identifier: MIT
/* The ring-0 stub of a synthetic guest. On a KVM without hardware virtualization ring 0 is
 * interpreted instruction by instruction, so the stub is short and knows few instructions; the
 * payload runs natively in ring 3. Ports are opened to it by the TSS, since IRET does not set IOPL
 * there.
 *
 * Entry: the 64-bit Linux boot protocol (RSI: boot parameters). Ring 3 comes in by interrupts and
 * by UD2 (RAX: a service below; such a KVM knows neither INT nor SYSCALL). An interrupt is ended at the local APIC and handed up like
 * a signal: RIP, flags, error code and vector go on the interrupted stack and guest_upcall runs
 * with interrupts off.
 * Ring 0 never has interrupts on but in the wait service, and keeps nothing on its stack.
 *
 * Per VP: a GDT slot, a TSS and a ring-0 stack, found by the task register. */

#define CPUS            4
#define VECTORS         0x200000        /* guest.ld */
#define CPU             0x201000
#define TSS(n)          (CPU + (n) * 0x80)
#define IO_MAP          TSS(CPUS)
#define TSS_LIMIT(n)    (IO_MAP + 0x2000 - TSS(n))
#define STACK_SHIFT     12
#define STACK_SIZE      (1 << STACK_SHIFT)
#define USER_STACK_SHIFT 14
#define USER_STACK_SIZE (1 << USER_STACK_SHIFT)
#define FRAME_SIZE      40
#define VECTOR_UD       6
#define UD2             0x0b0f          /* the instruction's bytes */

#define KERNEL_CS       0x08
#define KERNEL_DS       0x10
#define USER_DS         0x1b
#define USER_CS         0x23
#define TSS_SELECTOR    0x28

#define FLAGS_RESERVED  0x002
#define FLAGS_IF        0x202

#define MSR_APIC_BASE   0x1b
#define MSR_EFER        0xc0000080
#define MSR_X2APIC_EOI  0x80b
#define MSR_X2APIC_SIVR 0x80f

/* Services, as in guest.c. */
#define SERVICE_RDMSR   0
#define SERVICE_WRMSR   1
#define SERVICE_CALL    2
#define SERVICE_WAIT    3
#define SERVICE_RESUME  4
#define SERVICE_OFF     5
#define SERVICE_ON      6
#define SERVICE_CPUID   7

        .section .vectors, "ax"
        .balign 16
vector = 0
        .rept 256
        .balign 16
        .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
        .else
        pushq $0
        .endif
        .if vector < 32
        pushq $vector
        jmp exception
        .else
        pushq $vector
        jmp interrupt
        .endif
vector = vector + 1
        .endr

        .section .cpu, "aw"
        .globl guest_tss
guest_tss:
cpu = 0
        .rept CPUS
        .long 0
        .quad stacks + (cpu + 1) * STACK_SIZE   /* RSP0 */
        .fill 22, 4, 0
        .word 0, IO_MAP - TSS(cpu)
        .fill 6, 4, 0
cpu = cpu + 1
        .endr
        .fill 0x2000, 1, 0                      /* IO_MAP, shared: every port is open */
        .byte 0xff

        .data
        .balign 16
gdt:    .quad 0
        .quad 0x00af9b000000ffff                /* kernel code */
        .quad 0x00cf93000000ffff                /* kernel data */
        .quad 0x00cff3000000ffff                /* user data */
        .quad 0x00affb000000ffff                /* user code */
cpu = 0
        .rept CPUS
        .quad TSS_LIMIT(cpu) | ((TSS(cpu) & 0xffffff) << 16) | (0x89 << 40)
        .quad 0
cpu = cpu + 1
        .endr
gdt_end:
        .balign 16
idt:
vector = 0
        .rept 256
        .word (VECTORS + vector * 16) & 0xffff, KERNEL_CS
        .byte 0
        .byte 0x8e
        .word (VECTORS + vector * 16) >> 16
        .quad 0
vector = vector + 1
        .endr
idt_end:
gdt_ptr: .word gdt_end - gdt - 1
        .quad gdt
idt_ptr: .word idt_end - idt - 1
        .quad idt

        /* One to one: the first GiB, and the last below 4 GiB (APICs), open to ring 3. */
        .balign 4096
        .globl guest_page_tables
guest_page_tables:
        .quad pdpt + 7
        .fill 511, 8, 0
pdpt:   .quad pd_low + 7, 0, 0, pd_high + 7
        .fill 508, 8, 0
page = 0
pd_low:
        .rept 512
        .quad (page << 21) + 0x87
page = page + 1
        .endr
pd_high:
page = 3 * 512
        .rept 512
        .quad (page << 21) + 0x9f               /* not cached */
page = page + 1
        .endr

        .bss
        .balign STACK_SIZE
stacks: .skip CPUS * STACK_SIZE
user_stacks:
        .skip CPUS * USER_STACK_SIZE

        .text
        .globl _start
_start:
        movq $stacks + STACK_SIZE, %rsp
        movq %rsi, guest_boot_params
        movl $guest_page_tables, %eax
        movq %rax, %cr3
        lgdt gdt_ptr
        lidt idt_ptr
        movl $TSS_SELECTOR, %eax
        ltr %ax
        movl $guest_main, %ebx
        movl $user_stacks + USER_STACK_SIZE, %ebp

        /* RBX: where to begin in ring 3, RBP: the stack. */
enter_user:
        movl $MSR_APIC_BASE, %ecx
        rdmsr
        orl $0xc00, %eax                        /* x2APIC */
        wrmsr
        movl $MSR_X2APIC_SIVR, %ecx
        movl $0x1ff, %eax                       /* on; spurious vector 0xff */
        xorl %edx, %edx
        wrmsr
        pushq $USER_DS
        pushq %rbp
        pushq $FLAGS_IF
        pushq $USER_CS
        pushq %rbx
        iretq

        /* Stack: vector, error code, frame. In ring 0 it can only be a service that faulted. */
exception:
        cmpl $KERNEL_CS, 24(%rsp)
        je 1f
        cmpl $VECTOR_UD, (%rsp)
        jne upcall
        pushq %rax
        movq 24(%rsp), %rax
        cmpw $UD2, (%rax)
        popq %rax
        je service
        jmp upcall
1:      movl (%rsp), %ebx
        call stack_top
        leaq -FRAME_SIZE(%rdx), %rsp
        iretq

        /* UD2 in ring 3: RAX is the service. RBX is 0 in the end, or the vector of the exception
         * that it ended in. */
service:
        addq $16, %rsp
        addq $2, (%rsp)                         /* the caller's RIP */
        cmpl $SERVICE_WRMSR, %eax
        je 1f
        cmpl $SERVICE_CALL, %eax
        je 2f
        cmpl $SERVICE_WAIT, %eax
        je 3f
        cmpl $SERVICE_RESUME, %eax
        je 4f
        cmpl $SERVICE_OFF, %eax
        je 5f
        cmpl $SERVICE_ON, %eax
        je 6f
        cmpl $SERVICE_CPUID, %eax
        je 7f
        rdmsr                                   /* ECX → EDX:EAX */
        movl $0, %ebx
        iretq
1:      movl %esi, %eax                         /* ECX ← EDX:ESI */
        wrmsr
        movl $0, %ebx
        iretq
2:      call *%rbx                              /* the hypercall page: RCX, RDX, R8 → RAX */
        movl $0, %ebx
        iretq
3:      sti
        hlt
        cli
        iretq
4:      pushq %rcx
        /* Now 8: RIP, 24: flags, 32: RSP of ring 3, which points at what guest_upcall left. */
        movq 32(%rsp), %rax
        movq 24(%rax), %rcx
        movq %rcx, 24(%rsp)
        movq 32(%rax), %rcx
        movq %rcx, 8(%rsp)
        leaq 40(%rax), %rcx
        movq %rcx, 32(%rsp)
        movq (%rax), %rax
        popq %rcx
        iretq
5:      movq $FLAGS_RESERVED, 16(%rsp)
        iretq
6:      movq $FLAGS_IF, 16(%rsp)
        iretq
7:      movl %esi, %eax                         /* ESI, ECX → EAX, EBX, ECX, EDX */
        cpuid
        iretq

interrupt:
        pushq %rax
        pushq %rcx
        pushq %rdx
        movl $MSR_X2APIC_EOI, %ecx
        xorl %eax, %eax
        xorl %edx, %edx
        wrmsr
        popq %rdx
        popq %rcx
        popq %rax
        cmpl $KERNEL_CS, 24(%rsp)
        jne upcall
        /* The wait service was interrupted: hand up from its caller's frame. RBX and RDX are the
         * service's to clobber. */
        movq (%rsp), %rbx
        call stack_top
        leaq -FRAME_SIZE(%rdx), %rsp
        pushq $0
        pushq %rbx

upcall:
        pushq %rax
        pushq %rcx
        /* Now 16: vector, 24: error code, 32: RIP, 40: CS, 48: flags, 56: RSP, 64: SS. */
        movq 56(%rsp), %rax
        subq $32, %rax
        movq 16(%rsp), %rcx
        movq %rcx, (%rax)
        movq 24(%rsp), %rcx
        movq %rcx, 8(%rax)
        movq 48(%rsp), %rcx
        movq %rcx, 16(%rax)
        movq 32(%rsp), %rcx
        movq %rcx, 24(%rax)
        movq %rax, 56(%rsp)
        movl $guest_upcall, %ecx
        movq %rcx, 32(%rsp)
        movl $FLAGS_RESERVED, %ecx
        movq %rcx, 48(%rsp)
        popq %rcx
        popq %rax
        addq $16, %rsp
        iretq

        /* RDX: the top of this VP's ring-0 stack. */
stack_top:
        movq %rsp, %rdx
        addq $STACK_SIZE - 1, %rdx
        andq $-STACK_SIZE, %rdx
        ret

        /* Where another processor wakes up: real mode, in a copy of this on a page below 1 MiB. */
        .globl guest_ap_start, guest_ap_end
        .code16
guest_ap_start:
        movw %cs, %ax
        movw %ax, %ds
        lgdtl gdt_ptr_low - guest_ap_start
        movl $0x20, %eax                        /* PAE */
        movl %eax, %cr4
        movl $guest_page_tables, %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $0x100, %eax                        /* long mode */
        wrmsr
        movl $0x80000011, %eax                  /* paging, protection */
        movl %eax, %cr0
        ljmpl $KERNEL_CS, $ap_long
gdt_ptr_low:
        .word gdt_end - gdt - 1
        .long gdt
guest_ap_end:
        .code64
ap_long:
        movl $KERNEL_DS, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $1, %eax
        cpuid
        shrl $24, %ebx                          /* the APIC id */
        movl %ebx, %esi
        lidt idt_ptr
        movl %esi, %eax
        shll $4, %eax
        addl $TSS_SELECTOR, %eax
        ltr %ax
        movl %esi, %eax
        addl $1, %eax
        shll $STACK_SHIFT, %eax
        leaq stacks(%rax), %rsp
        movl %esi, %eax
        addl $1, %eax
        shll $USER_STACK_SHIFT, %eax
        leaq user_stacks(%rax), %rbp
        movq guest_ap_entries(, %rsi, 8), %rbx
        jmp enter_user

        /* Ring 3. Stack: vector, error code, flags, RIP. */
guest_upcall:
        pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rbx
        pushq %rbp
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        leaq 88(%rsp), %rdi                     /* struct guest_trap */
        movq %rsp, %rbp
        andq $-16, %rsp
        cld
        call guest_trapped
        movq %rbp, %rsp
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rbp
        popq %rbx
        popq %rdx
        popq %rcx
        movl $SERVICE_RESUME, %eax
        ud2

        .section .note.GNU-stack, "", @progbits

/* {"Sandbar", VMM_NOTE_ANY_KVM}: no VT-x or AMD-V is needed. */
        .section .note.Sandbar, "a", @note
        .long 8, 0, 1
        .asciz "Sandbar"
