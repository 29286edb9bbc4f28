// SPDX-License-Identifier: Apache-2.0

#include "arena/arena.h"

#include <gtest/gtest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include <initializer_list>
#include <thread>
#include <vector>

#include "arena/poison.h"

namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t page_bytes() {
    return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

tina_arena make_arena(size_t bytes, tina_arena_commit_options options = {}) {
    tina_arena arena;
    EXPECT_EQ(tina_arena_reserve(&arena, bytes), 0);
    EXPECT_EQ(tina_arena_commit(&arena, &options), 0);
    return arena;
}

size_t resident_pages(const tina_arena &arena) {
    std::vector<unsigned char> pages(tina_arena_size(&arena) / page_bytes());
    EXPECT_EQ(mincore(arena.base, tina_arena_size(&arena), pages.data()), 0);
    size_t resident = 0;
    for (unsigned char page : pages)
        resident += page & 1;
    return resident;
}

bool all_bytes(const void *memory, size_t bytes, uint8_t value) {
    const uint8_t *at = static_cast<const uint8_t *>(memory);
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != value)
            return false;
    return true;
}

void touch(const volatile uint8_t *at) {
    signal(SIGSEGV, SIG_DFL); // sanitizers would turn it into an exit
    (void)*at;
}

// Every later madvise with this advice fails with EINVAL, as on a kernel that does not know it;
// every system call in killed ends the process with SIGSYS.
void restrict_kernel(uint32_t refused_advice, std::initializer_list<uint32_t> killed) {
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (uint32_t call : killed) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    }
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_advice, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(2);
}

} // namespace

TEST(Arena, ReservesWithoutUsingMemory) {
    tina_arena arena;
    ASSERT_EQ(tina_arena_reserve(&arena, size_t{1} << 36), 0);
    EXPECT_EQ(tina_arena_size(&arena), size_t{1} << 36);
    EXPECT_EQ(tina_arena_used(&arena), 0u);
    tina_arena_release(&arena);
}

TEST(Arena, SaysEnomemWhenNoAddressSpaceIsLeft) {
    tina_arena arena;
    EXPECT_EQ(tina_arena_reserve(&arena, SIZE_MAX), -ENOMEM);
    EXPECT_EQ(tina_arena_reserve(&arena, SIZE_MAX / 4), -ENOMEM);
    EXPECT_EQ(tina_arena_reserve(&arena, size_t{1} << 48), -ENOMEM);
}

TEST(Arena, RoundsUpToWholePages) {
    tina_arena arena = make_arena(1);
    EXPECT_EQ(tina_arena_size(&arena), page_bytes());
    EXPECT_NE(tina_arena_carve(&arena, page_bytes()), nullptr);
    EXPECT_EQ(tina_arena_carve(&arena, 1), nullptr);
    tina_arena_release(&arena);
}

TEST(Arena, CommitFaultsEveryPageIn) {
    for (size_t bytes : {page_bytes(), 3 * kMiB, 4 * kMiB}) {
        tina_arena arena = make_arena(bytes);
        EXPECT_EQ(resident_pages(arena), bytes / page_bytes());
        tina_arena_release(&arena);
    }
}

TEST(Arena, LazyCommitFaultsNothingInAndATouchOnlyItsPage) {
    tina_arena arena = make_arena(64 * kMiB, {true, 0});
    EXPECT_EQ(resident_pages(arena), 0u);
    uint8_t *memory = static_cast<uint8_t *>(tina_arena_carve(&arena, 64 * kMiB));
    EXPECT_EQ(resident_pages(arena), 0u) << "the kernel's zeros need no writing";
    memory[32 * kMiB] = 1;
    EXPECT_EQ(resident_pages(arena), 1u);
    tina_arena_release(&arena);
}

TEST(Arena, IsCommittedByAnotherThreadThanItsReserver) {
    tina_arena arena;
    ASSERT_EQ(tina_arena_reserve(&arena, kMiB), 0);
    std::thread shard([&arena] {
        tina_arena_commit_options options = {};
        ASSERT_EQ(tina_arena_commit(&arena, &options), 0);
        EXPECT_NE(tina_arena_carve(&arena, 1000), nullptr);
    });
    shard.join();
    EXPECT_EQ(tina_arena_used(&arena), 1024u);
    tina_arena_release(&arena);
}

TEST(Arena, CarvesAlignedPiecesThatDoNotOverlap) {
    tina_arena arena = make_arena(kMiB);
    uint8_t *end = arena.base;
    size_t used = 0;
    for (size_t bytes : {1u, 127u, 128u, 129u, 4096u, 5000u}) {
        uint8_t *piece = static_cast<uint8_t *>(tina_arena_carve(&arena, bytes));
        ASSERT_NE(piece, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(piece) % TINA_ARENA_ALIGNMENT, 0u);
        EXPECT_GE(piece, end);
        end = piece + bytes;
        used += tina_arena_carve_bytes(bytes);
        EXPECT_EQ(tina_arena_used(&arena), used);
    }
    tina_arena_release(&arena);
}

TEST(Arena, CarveReturnsNullWhenItDoesNotFitAndTakesNothing) {
    tina_arena arena = make_arena(page_bytes());
    size_t size = tina_arena_size(&arena);
    EXPECT_EQ(tina_arena_carve(&arena, size + 1), nullptr);
    EXPECT_EQ(tina_arena_carve(&arena, SIZE_MAX), nullptr);
    EXPECT_EQ(tina_arena_carve(&arena, SIZE_MAX - 127), nullptr);
    EXPECT_EQ(tina_arena_used(&arena), 0u);
    EXPECT_NE(tina_arena_carve(&arena, size - 127), nullptr) << "rounds up to the last byte";
    EXPECT_EQ(tina_arena_used(&arena), size);
    EXPECT_EQ(tina_arena_carve(&arena, 1), nullptr);
    EXPECT_NE(tina_arena_carve(&arena, 0), nullptr) << "nothing always fits";
    tina_arena_release(&arena);
}

TEST(Arena, LastByteIsUsable) {
    for (size_t bytes : {page_bytes(), 2 * kMiB, 3 * kMiB + page_bytes()}) {
        tina_arena arena = make_arena(bytes);
        uint8_t *memory = static_cast<uint8_t *>(tina_arena_carve(&arena, bytes));
        memory[0] = memory[bytes - 1] = 1;
        tina_arena_release(&arena);
    }
}

TEST(ArenaDeathTest, GuardsFaultOnBothSides) {
    for (size_t bytes : {page_bytes(), 2 * kMiB, 3 * kMiB + page_bytes()}) {
        tina_arena arena = make_arena(bytes);
        const uint8_t *end = arena.base + tina_arena_size(&arena);
        auto faults = testing::KilledBySignal(SIGSEGV);
        EXPECT_EXIT(touch(arena.base - 1), faults, "");
        EXPECT_EXIT(touch(arena.base - TINA_ARENA_GUARD_BYTES), faults, "");
        EXPECT_EXIT(touch(end), faults, "");
        EXPECT_EXIT(touch(end + TINA_ARENA_GUARD_BYTES - 1), faults, "");
        tina_arena_release(&arena);
    }
}

TEST(ArenaDeathTest, ReservedButUncommittedMemoryFaults) {
    tina_arena arena;
    ASSERT_EQ(tina_arena_reserve(&arena, kMiB), 0);
    EXPECT_EXIT(touch(arena.base), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_DEATH(tina_arena_carve(&arena, 1), "arena->committed");
    tina_arena_release(&arena);
}

TEST(ArenaDeathTest, CarvingAfterFreezeIsAnError) {
    tina_arena arena = make_arena(kMiB);
    ASSERT_NE(tina_arena_carve(&arena, 1), nullptr);
    tina_arena_freeze(&arena);
    EXPECT_DEATH(tina_arena_carve(&arena, 1), "!arena->frozen");
    EXPECT_DEATH(tina_arena_carve(&arena, 2 * kMiB), "!arena->frozen");
    EXPECT_DEATH(tina_arena_freeze(&arena), "!arena->frozen");
    tina_arena_release(&arena);
}

TEST(ArenaDeathTest, MisuseOfItsLifeIsAnError) {
    tina_arena arena = make_arena(kMiB);
    tina_arena_commit_options options = {};
    EXPECT_DEATH(EXPECT_NE(tina_arena_commit(&arena, &options), 0), "!arena->committed");
    EXPECT_DEATH(tina_arena_rewind(&arena, 128), "mark <= arena->used");
    ASSERT_NE(tina_arena_carve(&arena, 200), nullptr);
    EXPECT_DEATH(tina_arena_rewind(&arena, 100), "mark %");
    EXPECT_DEATH(EXPECT_NE(tina_arena_reserve(&arena, 0), 0), "bytes > 0");
    tina_arena_release(&arena);
    EXPECT_DEATH(tina_arena_release(&arena), "base != NULL");
    EXPECT_DEATH(EXPECT_NE(tina_arena_commit(&arena, &options), 0), "base != NULL");
}

TEST(Arena, EveryCarvedByteHoldsTheFillAlsoAfterARewind) {
    for (int fill : {0x00, 0xAA, 0xFF})
        for (bool lazy : {false, true}) {
            uint8_t byte = static_cast<uint8_t>(fill);
            tina_arena arena = make_arena(kMiB, {lazy, byte});
            uint8_t *durable = static_cast<uint8_t *>(tina_arena_carve(&arena, 1000));
            EXPECT_TRUE(all_bytes(durable, 1000, byte));
            memset(durable, 0x77, 1000);
            size_t mark = tina_arena_mark(&arena);

            // Other sizes each time, so that what was slack or beyond the end becomes data.
            for (size_t bytes : {5000u, 100u, 20000u, 1000u, 300000u}) {
                for (size_t pieces = 0; pieces < 3; pieces++) {
                    void *piece = tina_arena_carve(&arena, bytes);
                    ASSERT_NE(piece, nullptr);
                    EXPECT_TRUE(all_bytes(piece, bytes, byte)) << bytes;
                    memset(piece, 0x55, bytes);
                }
                tina_arena_rewind(&arena, mark);
                EXPECT_EQ(tina_arena_used(&arena), mark);
            }
            EXPECT_TRUE(all_bytes(durable, 1000, 0x77)) << "rewinding touches nothing before it";
            tina_arena_release(&arena);
        }
}

TEST(Arena, RewindLiftsAFreezeAndCarvesTheSamePlaces) {
    tina_arena arena = make_arena(kMiB);
    ASSERT_NE(tina_arena_carve(&arena, 128), nullptr);
    size_t mark = tina_arena_mark(&arena);
    void *first = tina_arena_carve(&arena, 5000);
    tina_arena_freeze(&arena);
    tina_arena_rewind(&arena, mark);
    EXPECT_EQ(tina_arena_carve(&arena, 5000), first);
    tina_arena_freeze(&arena);
    tina_arena_release(&arena);
}

TEST(ArenaDeathTest, CommitFaultsPagesInOneByOneWhereTheKernelCannotDoItAtOnce) {
    auto commit = [] {
        restrict_kernel(MADV_POPULATE_WRITE, {});
        tina_arena arena = make_arena(3 * kMiB + page_bytes());
        _exit(resident_pages(arena) == tina_arena_size(&arena) / page_bytes() ? 0 : 1);
    };
    EXPECT_EXIT(commit(), testing::ExitedWithCode(0), "");
}

TEST(ArenaDeathTest, CommitWorksWithoutHugePages) {
    auto commit = [] {
        restrict_kernel(MADV_HUGEPAGE, {});
        tina_arena arena = make_arena(3 * kMiB);
        _exit(resident_pages(arena) == tina_arena_size(&arena) / page_bytes() ? 0 : 1);
    };
    EXPECT_EXIT(commit(), testing::ExitedWithCode(0), "");
}

TEST(ArenaDeathTest, NothingAfterCommitAsksTheKernelForMemory) {
    if (TINA_ASAN_ON)
        GTEST_SKIP() << "AddressSanitizer maps its shadow anew";
    auto rebuild = [] {
        tina_arena arena = make_arena(8 * kMiB);
        restrict_kernel(UINT32_MAX,
                        {SYS_mmap, SYS_mremap, SYS_munmap, SYS_brk, SYS_mprotect, SYS_madvise});
        size_t mark = tina_arena_mark(&arena);
        for (int i = 0; i < 3; i++) {
            void *memory = tina_arena_carve(&arena, 8 * kMiB);
            memset(memory, i, 8 * kMiB);
            tina_arena_freeze(&arena);
            tina_arena_rewind(&arena, mark);
        }
        _exit(0);
    };
    EXPECT_EXIT(rebuild(), testing::ExitedWithCode(0), "");
}

#if TINA_ASAN_ON
TEST(ArenaDeathTest, AddressSanitizerSeesWhatIsNotCarved) {
    tina_arena arena = make_arena(kMiB);
    uint8_t *piece = static_cast<uint8_t *>(tina_arena_carve(&arena, 100));
    touch(piece + 99);
    EXPECT_DEATH(touch(piece + 100), "use-after-poison");
    EXPECT_DEATH(touch(piece + 128), "use-after-poison");
    tina_arena_rewind(&arena, 0);
    EXPECT_DEATH(touch(piece), "use-after-poison");
    tina_arena_release(&arena);
}

TEST(Arena, ReleaseLeavesNoPoisonBehind) {
    tina_arena arena = make_arena(kMiB);
    void *place = arena.base;
    tina_arena_release(&arena);
    EXPECT_EQ(__asan_region_is_poisoned(place, kMiB), nullptr);
}
#endif
