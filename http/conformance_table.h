// SPDX-License-Identifier: Apache-2.0
//
// For tests: the cases of conformance_cases.tsv, whose head explains them.

#ifndef TINA_HTTP_CONFORMANCE_TABLE_H
#define TINA_HTTP_CONFORMANCE_TABLE_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

struct ConformanceCase {
    std::string id;
    std::string request;
    std::vector<int> statuses;
    bool closes = false;
    std::string mode;
    std::vector<std::string> holds; // with '!' in front: must not hold
};

inline std::vector<std::string> Split(const std::string &text, const std::string &separator) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t at; (at = text.find(separator, from)) != std::string::npos;
         from = at + separator.size())
        parts.push_back(text.substr(from, at - from));
    parts.push_back(text.substr(from));
    return parts;
}

// Unescape returns the bytes that a table's text stands for.
inline std::string Unescape(const std::string &text) {
    static const std::string letters = "rnt0\\";
    std::string bytes;
    for (size_t at = 0; at < text.size();) {
        if (text[at] == '\\' && text[at + 1] == 'x') {
            bytes += static_cast<char>(strtoul(text.substr(at + 2, 2).c_str(), nullptr, 16));
            at += 4;
        } else if (text[at] == '\\') {
            size_t letter = letters.find(text[at + 1]);
            EXPECT_NE(letter, std::string::npos) << text;
            bytes += "\r\n\t\0\\"[letter];
            at += 2;
        } else if (text.compare(at, 5, "{rep:") == 0) {
            size_t end = text.find('}', at);
            size_t colon = text.rfind(':', end);
            std::string piece = Unescape(text.substr(at + 5, colon - at - 5));
            for (int count = atoi(text.c_str() + colon + 1); count > 0; count--)
                bytes += piece;
            at = end + 1;
        } else {
            bytes += text[at++];
        }
    }
    return bytes;
}

inline ConformanceCase ConformanceCaseOf(const std::string &line) {
    std::vector<std::string> columns = Split(line, "\t");
    EXPECT_GE(columns.size(), 4u) << line;
    columns.resize(7);
    ConformanceCase c;
    c.id = columns[0];
    c.request = Unescape(columns[1]);
    std::vector<std::string> outcome = Split(columns[2], "+");
    c.closes = outcome.back() == "close";
    if (outcome[0] != "close" && outcome[0] != "timeout") {
        for (const std::string &status : Split(outcome[0], ","))
            c.statuses.push_back(atoi(status.c_str()));
    }
    c.mode = columns[4];
    if (!columns[5].empty()) {
        for (const std::string &text : Split(columns[5], " && "))
            c.holds.push_back(Unescape(text));
    }
    return c;
}

inline std::vector<ConformanceCase> ConformanceCases() {
    std::ifstream file(std::string(getenv("TEST_SRCDIR")) + "/tina/http/conformance_cases.tsv");
    EXPECT_TRUE(file.is_open());
    std::vector<ConformanceCase> cases;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line[0] != '#')
            cases.push_back(ConformanceCaseOf(line));
    }
    return cases;
}

#endif
