/* A processor without VNNI, AVX-512 and AMX, for programs that run on one that has them.

   cc -O1 -shared -fPIC -o without_vnni.so tests/without_vnni.c
   LD_PRELOAD=./without_vnni.so OMP_NUM_THREADS=1 python ...

   For x86-64 Linux on processors that can fault on CPUID (`cpuid_fault` in /proc/cpuinfo): every
   CPUID instruction then raises SIGSEGV, and the handler answers with the features masked.
   Python's faulthandler would take the signal away: run pytest with `-p no:faulthandler`. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

static long allow_cpuid(unsigned long allowed)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed);
}

static void answer(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)registers[REG_RIP];
    uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX];
    uint32_t a = leaf, b, c = subleaf, d;

    (void)info;
    if (code[0] != 0x0f || code[1] != 0xa2) { /* a real fault: once more, and die of it */
        signal(number, SIG_DFL);
        return;
    }
    allow_cpuid(1);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    allow_cpuid(0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~(BIT(4) | BIT(5));
        d &= ~(BIT(4) | BIT(5) | BIT(10));
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    allow_cpuid(0);
}
