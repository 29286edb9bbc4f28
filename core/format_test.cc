// SPDX-License-Identifier: Apache-2.0

#include "core/format.h"

#include "core/prng.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <string>

namespace {

// Formats are built at run time here, and the bad ones are bad on purpose.
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

constexpr size_t kRoom = 512;
constexpr char kUntouched = '\x5A';

// Formats into exactly capacity bytes, and fails if a byte beyond them was written.
template <typename... Arguments>
void expect_same_as_libc(size_t capacity, const char *format, Arguments... arguments) {
    char ours[kRoom];
    char libc[kRoom];
    memset(ours, kUntouched, sizeof ours);
    memset(libc, kUntouched, sizeof libc);
    size_t length = tina_format(ours, capacity, format, arguments...);
    int libc_length = snprintf(libc, capacity, format, arguments...);
    ASSERT_GE(libc_length, 0) << format;
    ASSERT_EQ(length, static_cast<size_t>(libc_length)) << format << " gave " << ours;
    ASSERT_EQ(memcmp(ours, libc, sizeof ours), 0)
        << format << " in " << capacity << ": " << ours << " and not " << libc;
}

uint64_t seed() {
    const char *given = getenv("TINA_SEED");
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t value = given ? strtoull(given, nullptr, 0) : static_cast<uint64_t>(now.tv_nsec);
    printf("TINA_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
}

std::string random_field(tina_prng *prng, const char *flags, bool allow_width) {
    std::string field = "%";
    for (; *flags; flags++)
        if (tina_prng_chance(prng, 1, 3))
            field += *flags;
    if (allow_width && tina_prng_chance(prng, 1, 2))
        field += std::to_string(1 + tina_prng_below(prng, 40));
    return field;
}

size_t random_capacity(tina_prng *prng) {
    return tina_prng_chance(prng, 1, 2) ? tina_prng_below(prng, 48) : kRoom;
}

// Every magnitude is as likely as any other, and limits are common.
uint64_t random_integer(tina_prng *prng) {
    uint64_t value = tina_prng_next(prng) >> tina_prng_below(prng, 64);
    switch (tina_prng_below(prng, 4)) {
    case 0:
        return UINT64_C(0) - value;
    case 1:
        return (UINT64_C(1) << tina_prng_below(prng, 64)) - tina_prng_below(prng, 2);
    default:
        return value;
    }
}

} // namespace

TEST(Format, AgreesWithLibcOnRandomIntegers) {
    tina_prng prng = tina_prng_make(seed(), 1, 1);
    const char *sizes[] = {"", "hh", "h", "l", "ll", "j", "z", "t"};
    for (int round = 0; round < 200000; round++) {
        char kind = "diuxX"[tina_prng_below(&prng, 5)];
        const char *size = sizes[tina_prng_below(&prng, 8)];
        std::string format =
            random_field(&prng, kind == 'd' || kind == 'i' ? "-0+" : "-0", true) + size + kind;
        size_t capacity = random_capacity(&prng);
        uint64_t value = random_integer(&prng);
        if (size[0] == 0 || size[0] == 'h')
            expect_same_as_libc(capacity, format.c_str(), static_cast<int>(value));
        else
            expect_same_as_libc(capacity, format.c_str(), static_cast<long>(value));
        if (HasFatalFailure())
            return;
    }
}

TEST(Format, AgreesWithLibcOnRandomDoubles) {
    tina_prng prng = tina_prng_make(seed(), 1, 2);
    for (int round = 0; round < 200000; round++) {
        std::string format = random_field(&prng, "-0+", true);
        uint64_t precision = tina_prng_below(&prng, 11);
        if (precision <= 9)
            format += "." + (precision ? std::to_string(precision) : "");
        format += tina_prng_chance(&prng, 1, 8) ? "lf" : "f";
        double value;
        uint64_t bits = tina_prng_next(&prng);
        switch (tina_prng_below(&prng, 4)) {
        case 0: // Any double below 2^63, subnormal ones included.
            bits = (bits & ~(UINT64_C(0x7FF) << 52)) | tina_prng_below(&prng, 1023 + 63) << 52;
            memcpy(&value, &bits, sizeof value);
            break;
        case 1: // Ties and their neighbours: few bits behind the point.
            value = static_cast<double>(static_cast<int64_t>(bits) >> 40) / 1024;
            break;
        case 2: // Many digits that are nearly nine.
            value = static_cast<double>(tina_prng_below(&prng, 1000)) - 1e-9;
            break;
        default:
            value = static_cast<double>(static_cast<int64_t>(bits) >> 4) / 1e6;
            break;
        }
        expect_same_as_libc(random_capacity(&prng), format.c_str(), value);
        if (HasFatalFailure())
            return;
    }
}

TEST(Format, AgreesWithLibcOnRandomStrings) {
    tina_prng prng = tina_prng_make(seed(), 1, 3);
    for (int round = 0; round < 50000; round++) {
        std::string text(tina_prng_below(&prng, 60), '\0');
        for (char &byte : text)
            byte = static_cast<char>(1 + tina_prng_below(&prng, 255));
        std::string field = random_field(&prng, "-", true);
        size_t capacity = random_capacity(&prng);
        int precision = static_cast<int>(tina_prng_below(&prng, 70));
        expect_same_as_libc(capacity, ("a" + field + "s").c_str(), text.c_str());
        expect_same_as_libc(capacity, (field + ".*sz").c_str(), precision, text.c_str());
        expect_same_as_libc(capacity, (field + "." + std::to_string(precision) + "s").c_str(),
                            text.c_str());
        expect_same_as_libc(capacity, (field + "c%%" + field + "c").c_str(),
                            static_cast<int>(tina_prng_below(&prng, 256)), 0);
        expect_same_as_libc(capacity, (field + "p").c_str(),
                            reinterpret_cast<void *>(random_integer(&prng)));
        if (HasFatalFailure())
            return;
    }
}

TEST(Format, AgreesWithLibcAtEveryLimit) {
    for (size_t capacity = 0; capacity < 40; capacity++) {
        expect_same_as_libc(capacity, "%d %d %u", INT_MIN, INT_MAX, UINT_MAX);
        expect_same_as_libc(capacity, "%lld %lld", LLONG_MIN, LLONG_MAX);
        expect_same_as_libc(capacity, "%llu %llx", ULLONG_MAX, ULLONG_MAX);
        expect_same_as_libc(capacity, "%hhd %hd %hhu", 128, 32768, 256);
        expect_same_as_libc(capacity, "%zu %zd %td %jd", SIZE_MAX, static_cast<ssize_t>(SSIZE_MAX),
                            PTRDIFF_MIN, INTMAX_MIN);
        expect_same_as_libc(capacity, "%f %.9f", 9223372036854774784.0, -0.0);
        expect_same_as_libc(capacity, "%.0f %.0f %.0f %.0f", 0.5, 1.5, 2.5, 0.49999999999999994);
        expect_same_as_libc(capacity, "%.9f", std::numeric_limits<double>::denorm_min());
        expect_same_as_libc(capacity, "%.3f", 999.9995);
        expect_same_as_libc(capacity, "%p", static_cast<void *>(nullptr));
        expect_same_as_libc(capacity, "%s", "");
        expect_same_as_libc(capacity, "");
    }
}

TEST(Format, ReadsAllArgumentsInOrderWhenTheyNoLongerFitRegisters) {
    expect_same_as_libc(kRoom, "%d%s%f%c%lu%s%f%d%x%f%f%f%f%f%f%f%f%lld", 1, "two", 3.0, '4', 5ul,
                        "six", 7.0, 8, 9u, .1, .2, .3, .4, .5, .6, .7, .8, -1ll);
}

TEST(Format, LengthOfATextThatWasCutIsThatOfTheWhole) {
    char text[4] = {'x', 'x', 'x', 'x'};
    EXPECT_EQ(tina_format(text, 4, "%s", "abcdef"), 6u);
    EXPECT_STREQ(text, "abc");
    EXPECT_EQ(tina_format(text, 1, "%d", 42), 2u);
    EXPECT_STREQ(text, "");
    EXPECT_EQ(tina_format(nullptr, 0, "%d and %s", 42, "more"), 11u);
}

TEST(Format, ReadsAndWritesNothingBeyondTheirEnds) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *map = mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(map, MAP_FAILED);
    char *input_end = static_cast<char *>(map) + page;
    char *output_end = static_cast<char *>(map) + 3 * page;
    ASSERT_EQ(mprotect(input_end, page, PROT_NONE), 0);
    ASSERT_EQ(mprotect(output_end, page, PROT_NONE), 0);

    memcpy(input_end - 3, "abc", 3);
    char *format = input_end - 8;
    EXPECT_EQ(tina_format(output_end - 4, 4, "%.*s", 3, input_end - 3), 3u);
    EXPECT_STREQ(output_end - 4, "abc");
    EXPECT_EQ(tina_format(output_end - 3, 3, "%20.3s", input_end - 3), 20u);
    memcpy(format, "%d%5d%s", 8);
    EXPECT_EQ(tina_format(output_end - 9, 9, format, 1, 2, "xy"), 8u);
    EXPECT_STREQ(output_end - 9, "1    2xy");
    EXPECT_EQ(tina_format(output_end - 5, 5, format, 1, 2, "a long one"), 16u);
    EXPECT_STREQ(output_end - 5, "1   ");
    ASSERT_EQ(munmap(map, 4 * page), 0);
}

TEST(Format, AnEmptySpanNeedsNoAddress) {
    char text[8];
    const char *volatile nowhere = nullptr; // volatile: gcc knows the constant and refuses it.
    EXPECT_EQ(tina_format(text, sizeof text, "[%.*s]", 0, nowhere), 2u);
    EXPECT_STREQ(text, "[]");
}

TEST(FormatDeathTest, WhatIsNotInTheSubsetAsserts) {
    char text[64];
    const char *volatile null = nullptr;
    auto dies = testing::KilledBySignal(SIGABRT);
    for (const char *format : {"%g",
                               "%e",
                               "%a",
                               "%o",
                               "%n",
                               "%F",
                               "%Lf",
                               "%hd%",
                               "%",
                               "%l",
                               "% d",
                               "%#x",
                               "%'d",
                               "%*d",
                               "%.3d",
                               "%+u",
                               "%05s",
                               "%5%",
                               "%lc",
                               "%ls",
                               "%5000d",
                               "%.10f",
                               "%99999999999999999999d"})
        EXPECT_EXIT(tina_format(text, sizeof text, format, 1, 2), dies, "assertion failed")
            << format;
    EXPECT_EXIT(tina_format(text, sizeof text, "%s", null), dies, "string != ");
    EXPECT_EXIT(tina_format(text, sizeof text, "%.3s", null), dies, "string != ");
    EXPECT_EXIT(tina_format(text, sizeof text, "%.*s", -1, "abc"), dies, "precision >= 0");
    EXPECT_EXIT(tina_format(nullptr, 1, "abc"), dies, "capacity == 0");
    for (double value :
         {9223372036854775808.0, -9223372036854775808.0, std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()})
        EXPECT_EXIT(tina_format(text, sizeof text, "%f", value), dies, "exponent <");
}
