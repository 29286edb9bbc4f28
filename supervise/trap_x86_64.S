// SPDX-License-Identifier: Apache-2.0
//
// The recovery point, System V ABI for x86-64. The callee-saved registers lie in this function's
// own frame, which is above every frame that a cut leaves.

    .text

// bool tina_trap_enter(tina_trap_point *point, void (*body)(void *), void *argument)
    .globl  tina_trap_enter
    .hidden tina_trap_enter
    .type   tina_trap_enter, @function
    .p2align 4
tina_trap_enter:
    .cfi_startproc
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq    %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    pushq   %rdi
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    movq    %rsp, (%rdi)
    stmxcsr 8(%rdi)
    fnstcw  12(%rdi)
    movq    %rdx, %rdi
    call    *%rsi
    movl    $1, %eax
.Lleave:
    addq    $8, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size   tina_trap_enter, . - tina_trap_enter

// The registers hold what the faulting code left there, but for %rdi. The x87 stack may be full.
    .globl  tina_trap_land
    .hidden tina_trap_land
    .type   tina_trap_land, @function
    .p2align 4
tina_trap_land:
    .cfi_startproc
    .cfi_undefined %rip
    movq    (%rdi), %rsp
    cld
    ldmxcsr 8(%rdi)
    fninit
    fldcw   12(%rdi)
    leaq    48(%rsp), %rbp
    xorl    %eax, %eax
    jmp     .Lleave
    .cfi_endproc
    .size   tina_trap_land, . - tina_trap_land

// bool tina_trap_load(uintptr_t address, uintptr_t *word)
    .globl  tina_trap_load
    .globl  tina_trap_load_faults
    .hidden tina_trap_load_faults
    .globl  tina_trap_load_failed
    .hidden tina_trap_load_failed
    .type   tina_trap_load, @function
    .p2align 4
tina_trap_load:
    .cfi_startproc
tina_trap_load_faults:
    movq    (%rdi), %rax
    movq    %rax, (%rsi)
    movl    $1, %eax
    ret
tina_trap_load_failed:
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size   tina_trap_load, . - tina_trap_load

    .section .note.GNU-stack, "", @progbits
