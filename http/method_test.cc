// SPDX-License-Identifier: Apache-2.0
//
// The two headers' names collide, so that llhttp's are seen through its table of names.

#include "http/method.h"

#include <gtest/gtest.h>

namespace llhttp {
#include <llhttp.h>
}

namespace {

TEST(Method, NumbersAreLlhttpsPlusOne) {
    for (int number = 1; number < HTTP_METHOD_COUNT; number++) {
        EXPECT_STREQ(http_method_name(static_cast<http_method>(number)),
                     llhttp::llhttp_method_name(static_cast<llhttp::llhttp_method>(number - 1)));
    }
}

TEST(Method, WhatLlhttpHasBeyondIsNotHttps) {
    EXPECT_EQ(HTTP_METHOD_COUNT - 1, llhttp::HTTP_SOURCE);
}

} // namespace
