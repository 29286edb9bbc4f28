// SPDX-License-Identifier: Apache-2.0
//
// Sizes of channels: what a spec may state, and that they come out as stated.

#include "sched/channels.h"

#include "sched/cluster.h"
#include "sched/puppet.h"
#include "sched/system.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <string>
#include <vector>

namespace {

using tina::Cluster;
using tina::Play;
using tina::Script;

struct Stated {
    Stated() : play({&script}) {}
    // The sentence with which shard `number` of so many refuses these channels, or "".
    std::string Refusal(const std::vector<tina_channel> &channels, uint32_t shards = 4,
                        uint32_t number = 2) {
        play.spec.channels = channels.data();
        play.spec.channel_count = static_cast<uint32_t>(channels.size());
        tina_spec resolved;
        char sentence[TINA_SENTENCE_BYTES] = "";
        bool accepted = tina_spec_resolve(&play.spec, &resolved, sentence) &&
                        tina_channels_fit(&resolved, number, shards, sentence);
        EXPECT_EQ(accepted, sentence[0] == '\0');
        return sentence;
    }
    Script script;
    Play play;
};

TEST(Channels, WhatCannotBeIsASentence) {
    Stated stated;
    const struct {
        std::vector<tina_channel> channels;
        const char *sentence;
    } cases[] = {
        {{{0, 2, 128}, {1, 2, 1}, {2, 0, 1 << 14}}, ""},
        {{{0, 2, 100}},
         "channels[0] (from shard 0 to shard 2): message_count is 100, but it must "
         "be a power of two from 1 to 16777216; use 128"},
        {{{0, 2, 0}},
         "channels[0] (from shard 0 to shard 2): message_count is 0, but it must be a "
         "power of two from 1 to 16777216; use 1"},
        {{{0, 2, 1u << 31}},
         "channels[0] (from shard 0 to shard 2): message_count is 2147483648, "
         "but it must be a power of two from 1 to 16777216; use 16777216"},
        {{{0, 2, UINT32_MAX}},
         "channels[0] (from shard 0 to shard 2): message_count is "
         "4294967295, but it must be a power of two from 1 to 16777216; use "
         "16777216"},
        {{{0, 2, 64}, {2, 2, 64}},
         "channels[1] is from shard 2 to itself, which needs none; bound mailboxes instead"},
        {{{0, 2, 64}, {2, 0, 64}, {0, 2, 64}},
         "channels[2] is the second from shard 0 to shard 2; name it once"},
        {{{0, 255, 64}},
         "channels[0] is from shard 0 to shard 255, but shards are numbered below "
         "255; name two that there are"},
        {{{UINT32_MAX, 0, 64}},
         "channels[0] is from shard 4294967295 to shard 0, but shards are "
         "numbered below 255; name two that there are"},
        {{{0, 2, 64}, {4, 2, 64}},
         "channels[1] is from shard 4 to shard 2, but there are 4 "
         "shards, numbered from 0; leave it out or use more"},
        {{{0, 2, 1 << 14}, {1, 2, 1 << 14}},
         "the channels to shard 2 hold 32768 messages, but channel_bytes, which is 4194304, has "
         "room for 24576; raise it or lower their message_count"},
    };
    for (const auto &each : cases)
        EXPECT_EQ(stated.Refusal(each.channels), each.sentence);
    EXPECT_EQ(
        stated.Refusal({{0, 1, 64}}, 1, 0),
        "channels[0] is from shard 0 to shard 1, but there is 1 shard, numbered from 0; leave "
        "it out or use more");
    // Those to another shard are not this one's to pay for.
    EXPECT_EQ(stated.Refusal({{0, 2, 1 << 14}, {1, 2, 1 << 14}}, 4, 1), "");
    stated.play.spec.channel_bytes = 8 << 20;
    EXPECT_EQ(stated.Refusal({{0, 2, 1 << 14}, {1, 2, 1 << 14}}), "");
    stated.play.spec.channel_count = 1;
    stated.play.spec.channels = nullptr;
    tina_spec resolved;
    char sentence[TINA_SENTENCE_BYTES];
    EXPECT_FALSE(tina_spec_resolve(&stated.play.spec, &resolved, sentence));
    EXPECT_STREQ(sentence, "channel_count is 1, but channels is not set; name each pair of shards "
                           "once");
}

// What is not named shares what is left.
TEST(Channels, TheRestShareWhatIsLeftOfTheBudget) {
    Stated stated;
    const tina_channel channels[] = {{0, 2, 1 << 14}};
    tina_shard_options options = {};
    options.shard_count = 4;
    options.number = 2;
    for (uint32_t named : {0u, 1u}) {
        stated.play.spec.channels = channels;
        stated.play.spec.channel_count = named;
        tina_spec resolved;
        char sentence[TINA_SENTENCE_BYTES];
        ASSERT_TRUE(tina_spec_resolve(&stated.play.spec, &resolved, sentence)) << sentence;
        tina_channel_sizes sizes = tina_channels_measure(&resolved, &options);
        EXPECT_EQ(sizes.message_count, named ? 4096u : 8192u);
        EXPECT_EQ(tina_channel_messages(&resolved, &options, &sizes, 0), named ? 16384u : 8192u);
        EXPECT_EQ(tina_channel_messages(&resolved, &options, &sizes, 3), sizes.message_count);
        uint64_t sum = 0;
        for (uint32_t from = 0; from < 4; from++)
            sum += tina_channel_messages(&resolved, &options, &sizes, from);
        EXPECT_EQ(sum, sizes.message_sum);
    }
}

// How many messages shard 0 can have on the way to each other one at once.
TEST(Channels, EachTakesAsManyMessagesAsItsPairIsToHave) {
    constexpr uint32_t kShards = 4;
    const tina_channel channels[] = {{0, 1, 1}, {0, 2, 1024}, {1, 0, 4}};
    Script scripts[kShards];
    std::vector<tina_spec> specs;
    std::vector<std::unique_ptr<Play>> plays;
    uint32_t sent[kShards] = {};
    uint32_t arrived[kShards] = {};
    tina_handle handles[kShards] = {};
    for (uint32_t i = 0; i < kShards; i++) {
        scripts[i].init = [&, i](tina_ctx *ctx, tina_bytes) {
            handles[i] = tina_self(ctx);
            return i == 0 ? tina_yield() : tina_receive();
        };
        scripts[i].handle = [&, i](tina_ctx *ctx, const tina_message *m) {
            arrived[i] += m->tag == 1;
            for (uint32_t to = 1; i == 0 && to < kShards && m->tag == TINA_YIELDED; to++)
                while (tina_send(ctx, handles[to], 1, nullptr, 0) == TINA_SEND_OK)
                    sent[to]++;
            return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
        };
        plays.push_back(std::make_unique<Play>(std::vector<Script *>{&scripts[i]}));
        plays[i]->type.mailbox_max = 4096;
        plays[i]->spec.channels = channels;
        plays[i]->spec.channel_count = 3;
        plays[i]->spec.channel_bytes = 256 << 10;
        plays[i]->spec.message_count = 1 << 14;
        specs.push_back(plays[i]->spec);
    }
    Cluster cluster(specs);
    cluster.Turns(6);
    EXPECT_EQ(sent[1], 1u);
    EXPECT_EQ(sent[2], 1024u);
    EXPECT_EQ(sent[3], 512u) << "a third of three quarters of the budget";
    for (uint32_t i = 1; i < kShards; i++)
        EXPECT_EQ(arrived[i], sent[i]);
    EXPECT_EQ(cluster.counters(0).sends_channel_full, 3u);
}

std::string Printed(const tina_spec *spec, bool accepted) {
    int out[2];
    EXPECT_EQ(pipe(out), 0);
    EXPECT_EQ(tina_spec_print(spec, out[1]), accepted);
    close(out[1]);
    std::string text(16384, 0);
    text.resize(static_cast<size_t>(read(out[0], &text[0], text.size())));
    close(out[0]);
    return text;
}

TEST(Channels, ArePrintedWithTheSpec) {
    Stated stated;
    const tina_channel channels[] = {{0, 2, 8192}, {2, 1, 2}};
    stated.play.spec.channels = channels;
    stated.play.spec.channel_count = 2;
    stated.play.spec.shard_count = 3;
    std::string text = Printed(&stated.play.spec, true);
    EXPECT_NE(text.find("1048576 bytes       8192 × messages from shard 0 to shard 2\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("256 bytes          2 × messages from shard 2 to shard 1\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(" × channels' messages\n"), std::string::npos) << text;
    EXPECT_NE(text.find(" bytes from shard 1 on, aligned\n"), std::string::npos) << text;
    stated.play.spec.shard_count = 2;
    EXPECT_EQ(Printed(&stated.play.spec, false),
              "channels[0] is from shard 0 to shard 2, but there are 2 shards, numbered from 0; "
              "leave it out or use more\n");
    stated.play.spec.shard_count = 256;
    EXPECT_EQ(Printed(&stated.play.spec, false),
              "shard_count is 256, but a handle has room for 255; use fewer\n");
}

TEST(ChannelsDeathTest, ShardsWithASpecEachMustSayTheSame) {
    Stated stated;
    const tina_channel channels[] = {{0, 1, 8192}, {1, 0, 64}};
    const tina_channel others[] = {{0, 1, 4096}, {1, 0, 64}};
    stated.play.spec.channels = channels;
    stated.play.spec.channel_count = 2;
    tina_spec specs[2] = {stated.play.spec, stated.play.spec};
    specs[1].channel_count = 0;
    EXPECT_EXIT(std::exit(tina_run_shards(specs, 2)), testing::ExitedWithCode(1),
                "channels.0. of shard 0's spec leads from shard 0 to shard 1, whose own spec says "
                "otherwise; set it there");
    specs[1].channels = others;
    specs[1].channel_count = 2;
    EXPECT_EXIT(std::exit(tina_run_shards(specs, 2)), testing::ExitedWithCode(1),
                "whose own spec says otherwise");
    specs[0].channels = &others[1];
    specs[0].channel_count = 1;
    specs[1].channel_bytes = 1024;
    EXPECT_EXIT(std::exit(tina_run_shards(specs, 2)), testing::ExitedWithCode(1),
                "the channels to shard 1 hold 4096 messages, but channel_bytes, which is 1024");
}

TEST(Channels, SeveralOfOneShardAgreeEachWithItself) {
    Stated stated;
    const tina_channel forked[] = {{0, 1, 4096}, {0, 2, 64}, {1, 2, 32}};
    stated.play.spec.channels = forked;
    stated.play.spec.channel_count = 3;
    const tina_spec specs[3] = {stated.play.spec, stated.play.spec, stated.play.spec};
    char sentence[TINA_SENTENCE_BYTES] = "";
    EXPECT_TRUE(tina_channels_agree(specs, 3, sentence)) << sentence;
}

} // namespace
