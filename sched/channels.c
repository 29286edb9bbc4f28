// SPDX-License-Identifier: Apache-2.0

#include "sched/channels.h"

#include "core/bits.h"
#include "core/format.h"
#include "core/handle.h"
#include "sched/spec_tree.h"

#define CREDITS_MAX          1024u
#define MESSAGES_MIN         64u
#define CHANNEL_MESSAGES_MAX (1u << 24)

// Three quarters of the budget are for messages, one for control, which is so large that no answer
// ever lacks its place: of two lives of the asker, and room to spare for news.
static uint64_t budget_messages(const tina_spec *spec) {
    return spec->channel_bytes / sizeof(tina_message) * 3 / 4;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

typedef struct named_channels {
    uint32_t count;
    uint64_t messages;
} named_channels;

static named_channels channels_named(const tina_spec *spec, uint32_t to) {
    named_channels named = {0};
    for (uint32_t i = 0; i < spec->channel_count; i++) {
        if (spec->channels[i].to != to)
            continue;
        named.count++;
        named.messages += spec->channels[i].message_count;
    }
    return named;
}

tina_channel_sizes tina_channels_measure(const tina_spec *spec, const tina_shard_options *options) {
    tina_channel_sizes sizes = {.peers = options->shard_count > 1 ? options->shard_count - 1 : 0};
    if (sizes.peers == 0)
        return sizes;
    uint64_t share = spec->channel_bytes / sizeof(tina_message) / sizes.peers;
    sizes.credits = (uint32_t)clamp(share / 16, 16, CREDITS_MAX);
    sizes.control_count = (uint32_t)tina_round_up_pow2(4 * (uint64_t)sizes.credits + 8);
    named_channels named = channels_named(spec, options->number);
    uint64_t budget = budget_messages(spec);
    uint64_t left = named.messages < budget ? budget - named.messages : 0;
    uint32_t others = named.count < sizes.peers ? sizes.peers - named.count : 0;
    uint64_t each = others ? left / others : 0;
    sizes.message_count =
        (uint32_t)tina_round_up_pow2(each < MESSAGES_MIN ? MESSAGES_MIN : each / 2 + 1);
    sizes.message_sum = 1 + named.messages + (uint64_t)others * sizes.message_count;
    return sizes;
}

uint32_t tina_channel_messages(const tina_spec *spec, const tina_shard_options *options,
                               const tina_channel_sizes *sizes, uint32_t from) {
    if (from == options->number)
        return 1;
    for (uint32_t i = 0; i < spec->channel_count; i++)
        if (spec->channels[i].to == options->number && spec->channels[i].from == from)
            return spec->channels[i].message_count;
    return sizes->message_count;
}

#define PAIRS_MAX (TINA_SHARD_COUNT_MAX * TINA_SHARD_COUNT_MAX)

static bool channel_accepts(const tina_spec *spec, uint32_t number,
                            char sentence[TINA_SENTENCE_BYTES]) {
    const tina_channel *channel = &spec->channels[number];
    if (channel->from >= TINA_SHARD_COUNT_MAX || channel->to >= TINA_SHARD_COUNT_MAX)
        return spec_refuse(
            sentence,
            "channels[%u] is from shard %u to shard %u, but shards are numbered below %u; name "
            "two that there are",
            number, channel->from, channel->to, TINA_SHARD_COUNT_MAX);
    if (channel->from == channel->to)
        return spec_refuse(
            sentence,
            "channels[%u] is from shard %u to itself, which needs none; bound mailboxes instead",
            number, channel->from);
    if (!tina_is_power_of_two(channel->message_count) ||
        channel->message_count > CHANNEL_MESSAGES_MAX)
        return spec_refuse(
            sentence,
            "channels[%u] (from shard %u to shard %u): message_count is %u, but it must be a power "
            "of two from 1 to %u; use %u",
            number, channel->from, channel->to, channel->message_count, CHANNEL_MESSAGES_MAX,
            channel->message_count < CHANNEL_MESSAGES_MAX
                ? (uint32_t)tina_round_up_pow2(channel->message_count)
                : CHANNEL_MESSAGES_MAX);
    return true;
}

bool tina_channels_accept(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]) {
    uint64_t seen[PAIRS_MAX / 64 + 1] = {0};
    if (spec->channel_count > PAIRS_MAX || (spec->channel_count && !spec->channels))
        return spec_refuse(
            sentence, "channel_count is %u, but channels %s; name each pair of shards once",
            spec->channel_count, spec->channels ? "cannot be so many" : "is not set");
    for (uint32_t i = 0; i < spec->channel_count; i++) {
        if (!channel_accepts(spec, i, sentence))
            return false;
        uint32_t pair = spec->channels[i].from * TINA_SHARD_COUNT_MAX + spec->channels[i].to;
        if (seen[pair / 64] >> pair % 64 & 1)
            return spec_refuse(sentence,
                               "channels[%u] is the second from shard %u to shard %u; name it once",
                               i, spec->channels[i].from, spec->channels[i].to);
        seen[pair / 64] |= UINT64_C(1) << pair % 64;
    }
    return true;
}

bool tina_channels_fit(const tina_spec *spec, uint32_t number, uint32_t shard_count,
                       char sentence[TINA_SENTENCE_BYTES]) {
    for (uint32_t i = 0; i < spec->channel_count; i++) {
        const tina_channel *channel = &spec->channels[i];
        uint32_t most = channel->from > channel->to ? channel->from : channel->to;
        if (most >= shard_count)
            return spec_refuse(sentence,
                               "channels[%u] is from shard %u to shard %u, but there %s %u "
                               "shard%s, numbered from 0; leave it out or use more",
                               i, channel->from, channel->to, shard_count == 1 ? "is" : "are",
                               shard_count, shard_count == 1 ? "" : "s");
    }
    named_channels named = channels_named(spec, number);
    if (named.messages <= budget_messages(spec))
        return true;
    return spec_refuse(sentence,
                       "the channels to shard %u hold %llu messages, but channel_bytes, which is "
                       "%llu, has room for %llu; raise it or lower their message_count",
                       number, (unsigned long long)named.messages,
                       (unsigned long long)spec->channel_bytes,
                       (unsigned long long)budget_messages(spec));
}

static bool channel_is_in(const tina_spec *spec, const tina_channel *wanted) {
    for (uint32_t i = 0; i < spec->channel_count; i++)
        if (spec->channels[i].from == wanted->from && spec->channels[i].to == wanted->to)
            return spec->channels[i].message_count == wanted->message_count;
    return false;
}

bool tina_channels_agree(const tina_spec *specs, uint32_t shard_count,
                         char sentence[TINA_SENTENCE_BYTES]) {
    for (uint32_t number = 0; number < shard_count; number++)
        for (uint32_t i = 0; i < specs[number].channel_count; i++) {
            const tina_channel *channel = &specs[number].channels[i];
            if (!channel_is_in(&specs[channel->to], channel))
                return spec_refuse(
                    sentence,
                    "channels[%u] of shard %u's spec leads from shard %u to shard %u, whose own "
                    "spec says otherwise; set it there",
                    i, number, channel->from, channel->to);
        }
    return true;
}
