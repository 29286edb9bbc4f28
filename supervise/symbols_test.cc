// SPDX-License-Identifier: Apache-2.0

#include "core/prng.h"
#include "supervise/symbols.h"

#include <gtest/gtest.h>

#include <gnu/libc-version.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
__attribute__((noinline)) int symbols_test_first(int x) {
    return x * 3;
}
__attribute__((noinline)) int symbols_test_second(int x) {
    return x * 5;
}
}

namespace {

template <typename Function> uintptr_t At(Function *function, uintptr_t offset = 0) {
    return reinterpret_cast<uintptr_t>(function) + offset;
}

std::string Name(const tina_symbols &symbols, uintptr_t pc) {
    char text[200];
    tina_symbols_name(&symbols, pc, text, sizeof text);
    return text;
}

TEST(Symbols, NameFunctionsOfTheProgram) {
    tina_symbols symbols;
    ASSERT_EQ(tina_symbols_open(&symbols), 0);
    EXPECT_EQ(Name(symbols, At(symbols_test_first)), "symbols_test_first+0x0");
    EXPECT_EQ(Name(symbols, At(symbols_test_first, 2)), "symbols_test_first+0x2");
    EXPECT_EQ(Name(symbols, At(symbols_test_second, 1)), "symbols_test_second+0x1");
    EXPECT_EQ(Name(symbols, At(tina_symbols_open, 4)), "tina_symbols_open+0x4");
    tina_symbols_close(&symbols);
}

TEST(Symbols, NameLibrariesByFileAndOffset) {
    tina_symbols symbols;
    ASSERT_EQ(tina_symbols_open(&symbols), 0);
    EXPECT_EQ(Name(symbols, At(gnu_get_libc_version)).rfind("libc.so.6+0x", 0), 0u)
        << Name(symbols, At(gnu_get_libc_version));
    EXPECT_EQ(Name(symbols, 0x10), "0x10");
    EXPECT_EQ(Name(symbols, UINTPTR_MAX), "0xffffffffffffffff");
    tina_symbols_close(&symbols);
    EXPECT_EQ(Name(symbols, At(symbols_test_first)).rfind("0x", 0), 0u);
}

TEST(Symbols, ASmallBufferCutsTheName) {
    tina_symbols symbols;
    ASSERT_EQ(tina_symbols_open(&symbols), 0);
    char text[8];
    EXPECT_EQ(tina_symbols_name(&symbols, At(symbols_test_first), text, sizeof text),
              std::strlen("symbols_test_first+0x0"));
    EXPECT_STREQ(text, "symbols");
    tina_symbols_close(&symbols);
}

// The program's own file, cut and changed anywhere, flush against what must not be read.
TEST(Symbols, ReadNothingBeyondABadFile) {
    const char *given = std::getenv("TINA_SEED");
    uint64_t seed = given ? std::strtoull(given, nullptr, 0) : 20240602;
    std::printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(seed));
    tina_prng prng = tina_prng_make(seed, 1, 0);
    tina_symbols whole;
    ASSERT_EQ(tina_symbols_open(&whole), 0);
    ASSERT_GT(whole.count, 100u);
    const size_t bytes = whole.image_bytes;
    const size_t pages = (bytes + 4095) / 4096 * 4096;
    uint8_t *memory = static_cast<uint8_t *>(
        mmap(nullptr, pages + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(mprotect(memory + pages, 4096, PROT_NONE), 0);
    uint64_t section_headers;
    std::memcpy(&section_headers, whole.image + 40, sizeof section_headers);
    for (int i = 0; i < 300; i++) {
        size_t kept = i % 3 == 0 ? tina_prng_below(&prng, bytes + 1) : bytes;
        uint8_t *image = memory + pages - kept;
        std::memcpy(image, whole.image, kept);
        for (uint64_t n = tina_prng_below(&prng, 40); n > 0; n--) {
            uint64_t at = tina_prng_chance(&prng, 1, 4)
                              ? tina_prng_below(&prng, 64)
                              : section_headers + tina_prng_below(&prng, bytes - section_headers);
            if (at < kept)
                image[at] = static_cast<uint8_t>(tina_prng_next(&prng));
        }
        tina_symbols symbols = {};
        symbols.module_count = 1;
        symbols.modules[0] = {0, 0, UINTPTR_MAX, ""};
        ASSERT_EQ(tina_symbols_read(&symbols, image, kept), 0);
        for (uint32_t n = 1; n < symbols.count; n++)
            ASSERT_LE(symbols.sorted[n - 1].value, symbols.sorted[n].value);
        for (int n = 0; n < 20; n++)
            Name(symbols, tina_prng_below(&prng, bytes));
        tina_symbols_close(&symbols);
    }
    munmap(memory, pages + 4096);
    tina_symbols_close(&whole);
}

} // namespace
